"""A daemon that is killed with SIGKILL at any journal record: the next start ends every process once, with its whole log."""

from collections.abc import Callable
from pathlib import Path

import pytest
from colonies import Colony, DaemonProgram, wait_for

from container_executor.client import ProcessState

RECORDS = 14
"""More than a short job writes: the last numbers are a daemon that is never killed."""


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("number", range(1, RECORDS))
def test_a_job_runs_once_and_its_log_is_whole(
    colony: Colony, daemon: DaemonProgram, tmp_path: Path, number: int, moment: str
) -> None:
    ran = tmp_path / "ran"
    process_id = colony.submit(f"echo once >> {ran}; echo one; sleep 0.3; echo two; exit 7")

    daemon.start(kill=f"{moment}:{number}")
    wait_for(
        lambda: not daemon.alive() or colony.process(process_id).state.ended, "a killed daemon or a closed process"
    )
    if not daemon.alive():
        daemon.start()

    assert colony.wait(process_id).state is ProcessState.FAILED
    assert ran.read_text() == "once\n"
    assert colony.output(process_id) == ["one", "two"]
    assert colony.outcome(process_id)["exitcode"] == "7"
    assert colony.log(process_id).count("user_exit") == 1
    wait_for(lambda: not list((tmp_path / "state" / "process").glob("ce-*")), "nothing left of the job")


def test_jobs_that_ended_while_the_daemon_was_dead_are_reported(
    colony: Colony, daemon: DaemonProgram, tmp_path: Path
) -> None:
    daemon.start()
    process_id = colony.submit(f"echo begun; sleep 1; echo done; touch {tmp_path / 'over'}; exit 3")
    wait_for(lambda: "begun" in colony.output(process_id), "its first line")
    daemon.kill()
    wait_for((tmp_path / "over").exists, "the end of the job")

    daemon.start()

    assert colony.wait(process_id).state is ProcessState.FAILED
    assert colony.outcome(process_id)["exitcode"] == "3"
    assert colony.output(process_id) == ["begun", "done"]


def test_a_lost_state_directory_is_taken_over_by_its_owner_id(
    colony: Colony, make_daemon: Callable[..., DaemonProgram], tmp_path: Path
) -> None:
    first = make_daemon()
    first.start()
    ran = tmp_path / "ran"
    process_id = colony.submit(f"echo once >> {ran}; echo hi; sleep 3; exit 5")
    wait_for(lambda: "hi" in colony.output(process_id), "its first line")
    first.kill()
    for name in ("journal.sqlite", "journal.sqlite-wal", "journal.sqlite-shm"):
        (first.folder / name).unlink(missing_ok=True)

    first.start()

    assert colony.wait(process_id).state is ProcessState.FAILED
    assert colony.outcome(process_id)["exitcode"] == "5"
    assert ran.read_text() == "once\n"
