"""A daemon that is killed with SIGKILL at any journal record: a job with directories still runs once and loses nothing."""

from collections.abc import Callable
from pathlib import Path

import pytest
from colonies import DaemonProgram, wait_for
from files import Rig, names

from container_executor.cfs.stores import folder_store
from container_executor.client import ProcessState

RECORDS = 16
"""More than a short job writes: the last numbers are a daemon that is never killed."""
CONFLICTS = {"onstart": {"keeplocal": False}, "onclose": {"keeplocal": True}}


@pytest.mark.parametrize("number", range(1, RECORDS))
def test_a_job_with_directories_runs_once_and_its_results_are_stored_once(
    make_daemon: Callable[..., DaemonProgram], make_rig: Callable[..., Rig], tmp_path: Path, number: int
) -> None:
    rig, ran = make_rig(folder_store(tmp_path / "objects")), tmp_path / "ran"
    rig.sync(rig.place("in", {"in": "in\n"}), "/d")
    entry = {"label": "/d", "dir": "/d", "keepfiles": False, "onconflicts": CONFLICTS}
    process_id = rig.colony.submit(
        f"echo once >> {ran}; cat /ce-cfs/d/in; sleep 0.3; echo out > /ce-cfs/d/out; echo changed > /ce-cfs/d/in; exit 7",
        fs={"mount": "/ce-cfs", "dirs": [entry]},
    )
    daemon = make_daemon(
        options=(
            "backends.process.allow_host_execution=true",
            "cfs.store=folder",
            f"cfs.folder={tmp_path / 'objects'}",
        )
    )

    daemon.start(kill=f"after:{number}")
    wait_for(
        lambda: not daemon.alive() or rig.colony.process(process_id).state.ended, "a killed daemon or a closed process"
    )
    if not daemon.alive():
        daemon.start()

    assert rig.colony.wait(process_id).state is ProcessState.FAILED
    assert ran.read_text() == "once\n"
    assert rig.colony.output(process_id) == ["in"]
    assert rig.colony.outcome(process_id)["exitcode"] == "7"
    assert rig.content("/d", "out") == b"out\n"
    assert rig.content("/d", "in") == b"changed\n"
    assert rig.revisions("/d", "out") == 1
    assert rig.revisions("/d", "in") == 2
    wait_for(lambda: names(tmp_path / "state" / "cfs") == [], "nothing left of the directory")
