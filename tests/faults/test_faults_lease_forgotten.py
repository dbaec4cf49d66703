"""A server that forgets its executor: it takes the executor's processes back, and no two copies of one are ever live."""

import signal
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from anyio.from_thread import BlockingPortal
from colonies import Colony, DaemonProgram, wait_for
from heartbeat import beating, heartbeat, one_after_another, runs

from container_executor.client import Client, ExecutorState, ProcessState


@pytest.fixture
def forgetful(tmp_path: Path, portal: BlockingPortal) -> Iterator[Colony]:
    """A colony whose server unregisters executors that have not asked for work for four seconds."""
    folder = tmp_path / "forgetful"
    folder.mkdir()
    made = Colony(folder, portal, stale_after=timedelta(seconds=4))
    made.start()
    yield made
    made.stop()


def test_an_executor_that_was_swept_away_comes_back_and_its_process_is_run_once_more(
    forgetful: Colony, make_daemon: Callable[..., DaemonProgram], tmp_path: Path
) -> None:
    beats = tmp_path / "beats"
    daemon = make_daemon(colony=forgetful)
    daemon.start()
    process_id = forgetful.submit(heartbeat(beats, 2), maxexectime=60)
    wait_for(partial(beating, beats), "its first heartbeat")

    daemon.signal(signal.SIGSTOP)
    forgetful.wait(process_id, ProcessState.WAITING, patience=90)
    daemon.signal(signal.SIGCONT)

    assert forgetful.wait(process_id).state is ProcessState.SUCCESS
    assert one_after_another(beats)
    assert len(runs(beats)) <= 2
    (executor,) = forgetful.call(forgetful.client.executors)
    assert executor.state is ExecutorState.APPROVED


def test_a_removed_executor_registers_again_and_goes_on(colony: Colony, daemon: DaemonProgram, tmp_path: Path) -> None:
    beats = tmp_path / "beats"
    daemon.start()
    process_id = colony.submit(heartbeat(beats, 3), maxexectime=60)
    wait_for(partial(beating, beats), "its first heartbeat")

    _remove(colony)

    assert colony.wait(process_id).state is ProcessState.SUCCESS
    assert one_after_another(beats)
    assert colony.process(process_id).attempt == 0
    assert daemon.alive()


def test_a_removed_executor_that_may_not_add_itself_ends_its_jobs(
    colony: Colony, make_daemon: Callable[..., DaemonProgram], tmp_path: Path
) -> None:
    beats = tmp_path / "beats"
    daemon = make_daemon()
    daemon.start()
    wait_for(lambda: '"running"' in daemon.log(), "its registration")
    daemon.end()
    daemon.approves = False
    daemon.start()
    process_id = colony.submit(heartbeat(beats, 120), maxexectime=300)
    wait_for(partial(beating, beats), "its first heartbeat")

    _remove(colony)
    wait_for(daemon.idle, "the end of its job")

    silent = runs(beats)
    assert colony.process(process_id).state is ProcessState.WAITING
    assert runs(beats) == silent
    assert daemon.alive()


def test_a_start_ends_its_copy_of_a_process_that_was_given_to_another_meanwhile(
    colony: Colony, make_daemon: Callable[..., DaemonProgram], tmp_path: Path
) -> None:
    beats = tmp_path / "beats"
    first, second = make_daemon(), make_daemon(folder=tmp_path / "second", name="second")
    first.start()
    process_id = colony.submit(heartbeat(beats, 8), maxexectime=60)
    wait_for(partial(beating, beats), "its first heartbeat")
    first.kill()
    second.start()
    wait_for(lambda: '"running"' in second.log(), "the second executor")

    _remove(colony)
    wait_for(lambda: len(runs(beats)) == 2, "the second copy")
    first.start()
    wait_for(first.idle, "the end of the first copy")

    assert colony.wait(process_id).state is ProcessState.SUCCESS
    earlier, later = runs(beats)
    assert earlier.last < later.last
    assert "second runs this" in colony.log(process_id)


def _remove(colony: Colony) -> None:
    owner: Client = colony.client.as_(colony.owner)
    colony.call(owner.remove_executor, "tester")
