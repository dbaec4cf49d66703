"""A daemon that stands still (SIGSTOP) beyond its lease: the engine ends its jobs, and what the server decided meanwhile stands."""

import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from colonies import Colony, DaemonProgram, wait_for
from heartbeat import beating, heartbeat, one_after_another, runs

from container_executor.client import ProcessState

LEASE = 6
"""``maxexectime``: the daemon stops a job at 3.6 s, the engine ends it at 4.8 s, the server gives it away at 6 s."""


def test_the_server_s_failure_of_a_last_attempt_stands(colony: Colony, daemon: DaemonProgram, tmp_path: Path) -> None:
    beats = tmp_path / "beats"
    daemon.start()
    process_id = colony.submit(heartbeat(beats), maxexectime=LEASE)
    wait_for(partial(beating, beats), "its first heartbeat")

    daemon.signal(signal.SIGSTOP)
    verdict = colony.wait(process_id)
    silent = runs(beats)
    daemon.signal(signal.SIGCONT)
    wait_for(daemon.idle, "nothing left of the job")

    assert verdict.state is ProcessState.FAILED
    assert colony.process(process_id) == verdict
    assert runs(beats) == silent
    assert len(silent) == 1


def test_the_next_attempt_on_the_same_daemon_begins_after_the_frozen_one_has_ended(
    colony: Colony, daemon: DaemonProgram, tmp_path: Path
) -> None:
    beats = tmp_path / "beats"
    daemon.start()
    process_id = colony.submit(f"{heartbeat(beats, 1.5)}; test $(cut -d' ' -f1 {beats} | sort -u | wc -l) = 2 || sleep 60",
                               maxexectime=LEASE, maxretries=1)  # fmt: skip
    wait_for(partial(beating, beats), "its first heartbeat")

    daemon.signal(signal.SIGSTOP)
    colony.wait(process_id, ProcessState.WAITING)
    daemon.signal(signal.SIGCONT)

    ended = colony.wait(process_id)
    assert (ended.state, ended.attempt) == (ProcessState.SUCCESS, 1)
    assert len(runs(beats)) == 2
    assert one_after_another(beats)
    assert colony.outcome(process_id)["exitcode"] == "0"


def test_another_executor_that_is_given_the_process_keeps_it(
    colony: Colony, make_daemon: Callable[..., DaemonProgram], tmp_path: Path
) -> None:
    beats = tmp_path / "beats"
    first, second = make_daemon(), make_daemon(folder=tmp_path / "second", name="second")
    first.start()
    process_id = colony.submit(heartbeat(beats, 3), maxexectime=LEASE, maxretries=1)
    wait_for(partial(beating, beats), "its first heartbeat")

    first.signal(signal.SIGSTOP)
    second.start()
    wait_for(lambda: colony.process(process_id).attempt == 1, "the second attempt")
    first.signal(signal.SIGCONT)

    ended = colony.wait(process_id)
    assert ended.state in (ProcessState.SUCCESS, ProcessState.FAILED)
    assert one_after_another(beats)
    assert "second" in colony.log(process_id)
    wait_for(first.idle, "nothing left of the first attempt")


def test_a_job_that_ended_while_its_daemon_stood_still_is_reported_as_it_ended(
    colony: Colony, daemon: DaemonProgram, tmp_path: Path
) -> None:
    daemon.start()
    begun, over = tmp_path / "begun", tmp_path / "over"
    process_id = colony.submit(f"touch {begun}; sleep 1; echo last words; touch {over}; exit 3", maxexectime=12)
    wait_for(begun.exists, "its start")

    daemon.signal(signal.SIGSTOP)
    wait_for(over.exists, "its end")
    begins = colony.process(process_id).started
    assert begins is not None
    wait_for(lambda: time.time() > begins.timestamp() + 8, "the time at which the daemon would have stopped it")
    daemon.signal(signal.SIGCONT)

    assert colony.wait(process_id).state is ProcessState.FAILED
    assert colony.outcome(process_id)["exitcode"] == "3"
    assert '"failure": "user_exit"' in colony.outcome(process_id)["outcome"]
    assert colony.output(process_id) == ["last words"]


def test_a_short_stop_changes_nothing(colony: Colony, daemon: DaemonProgram, tmp_path: Path) -> None:
    begun, over = tmp_path / "begun", tmp_path / "over"
    daemon.start()
    process_id = colony.submit(f"touch {begun}; for i in 1 2 3 4 5; do echo $i; sleep 0.3; done; touch {over}")
    wait_for(begun.exists, "its start")

    daemon.signal(signal.SIGSTOP)
    wait_for(over.exists, "its end")
    daemon.signal(signal.SIGCONT)

    assert colony.wait(process_id).state is ProcessState.SUCCESS
    assert colony.output(process_id) == ["1", "2", "3", "4", "5"]
