"""How much a daemon takes on: never more than fits, so that other executors can have the rest."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from colonies import Colony, DaemonProgram, wait_for

from container_executor.client import Process, ProcessState

MakeDaemon = Callable[..., DaemonProgram]
HOST = "backends.process.allow_host_execution=true"
HALF = {"cpu": "500m", "mem": "10Mi"}


def test_no_more_is_claimed_than_fits_and_another_executor_can_have_the_rest(
    colony: Colony, make_daemon: MakeDaemon, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    gated = f"until [ -e {go} ]; do sleep 0.1; done"
    first = make_daemon(options=(HOST, "executor.cpu=2"))
    first.start()
    ids = [colony.submit(gated, conditions=HALF) for _ in range(12)]
    wait_for(lambda: len(colony.live()) == 4, "four jobs of half a core on two cores")

    second = make_daemon(folder=tmp_path / "second", name="second", options=(HOST, "executor.cpu=1"))
    second.start()
    wait_for(lambda: len(colony.live()) == 6, "two more on the other executor")
    holders = [process.executor_id for process in colony.live()]
    go.touch()

    for process_id in ids:
        assert colony.wait(process_id).state is ProcessState.SUCCESS
    assert sorted(holders.count(holder) for holder in set(holders)) == [2, 4]


def test_a_restart_counts_what_runs_already(colony: Colony, make_daemon: MakeDaemon, tmp_path: Path) -> None:
    go = tmp_path / "go"
    gated = f"echo begun; until [ -e {go} ]; do sleep 0.1; done"
    daemon = make_daemon(options=(HOST, "executor.parallel=3"))
    daemon.start()
    ids = [colony.submit(gated) for _ in range(6)]
    for process in wait_for(partial(_three, colony), "three jobs"):
        wait_for(partial(_begun, colony, process.id), "its first line")

    daemon.kill()
    daemon.start()
    wait_for(lambda: daemon.log().count('"running"') == 2, "its second start")
    taken = {process.id for process in colony.live()}
    go.touch()

    assert len(taken) == 3
    for process_id in ids:
        assert colony.wait(process_id).state is ProcessState.SUCCESS


def test_what_never_fits_is_refused_at_once_and_what_does_not_fit_yet_waits(
    colony: Colony, make_daemon: MakeDaemon, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    daemon = make_daemon(options=(HOST, "executor.cpu=2"))
    daemon.start()
    first = colony.submit(f"until [ -e {go} ]; do sleep 0.1; done", conditions={"cpu": "1500m"})
    colony.wait(first, ProcessState.RUNNING)

    never = colony.submit("true", conditions={"cpu": "500m", "processespernode": 8})
    refused = colony.wait(never)
    later = colony.submit("true", conditions={"cpu": "500m", "processespernode": 3})
    wait_for(lambda: "queued: waits for cpu" in colony.log(later), "the reason why it waits")
    go.touch()

    assert refused.state is ProcessState.FAILED
    assert "unschedulable" in refused.errors[0]
    assert colony.wait(later).state is ProcessState.SUCCESS


def _three(colony: Colony) -> list[Process] | None:
    live = colony.live()
    return live if len(live) == 3 else None


def _begun(colony: Colony, process_id: str) -> bool:
    return "begun" in colony.output(process_id)
