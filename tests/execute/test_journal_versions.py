"""An upgrade keeps the jobs that run meanwhile; what a newer version wrote is refused and left as it is.

``journals/schema-N.sql`` was written by the version of this program that had journals of schema N, and is never written again.
``python tests/execute/test_journal_versions.py`` makes the one of a new schema.
"""

import contextlib
import json
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from colonies import Colony, DaemonProgram, wait_for

from container_executor.client import ProcessState
from container_executor.execute.decide import Why
from container_executor.execute.journal import SCHEMA_VERSION, Journal, JournalError, check_journal
from container_executor.execute.outcome import Outcome
from container_executor.execute.record import Forwarded, Record, Stage
from container_executor.models import FailureClass, Handle, JobSpec, Mark, Mount

JOURNALS = Path(__file__).parent / "journals"
STARTED = datetime(2026, 1, 31, 12, 0, 5, 123456, tzinfo=UTC)
JOB = JobSpec(
    image="docker.io/library/busybox@sha256:" + "1f" * 32,
    argv=("sh", "-c", 'echo "$1"', "sh", "é"),
    env={"SEED": "7"},
    nodes=2,
    processes_per_node=3,
    cpu=500,
    memory=2**30,
    gpus=1,
    gpu_name="a100",
    walltime=timedelta(minutes=90),
    grace=timedelta(seconds=4),
    mounts=(Mount("/var/lib/ce/cfs/in", "/data/in", read_only=True),),
    input="[1]",
    pull=True,
    mark=Mark("0123456789abcdef", "dev", "ab" * 32, 1, 2),
)
OUTCOME = Outcome(
    succeeded=False,
    failure=FailureClass.USER_EXIT,
    message="rank 3 ended with exit code 9",
    exit_code=9,
    signal=9,
    rank=3,
    node="node1",
    started=STARTED,
    ended=STARTED + timedelta(seconds=8),
    image_id="sha256:" + "1f" * 32,
    native_id="4711",
    launch=2,
    output='["x"]',
)
FORWARDED = Forwarded(
    cursor="c1", pending={"0": "half a li"}, sent=12, said=("header",), since=1_769_860_805_000_000_000, entries=2
)


def record(stage: Stage, **fields: Any) -> Record:
    """Return a record of a process whose id says how far it has come."""
    return Record(f"{list(Stage).index(stage):064x}", 1, started=STARTED, stage=stage, **fields)


LAUNCH: dict[str, Any] = {"launch": 2, "base": 1, "job": JOB}
LIVE: dict[str, Any] = {
    **LAUNCH,
    "handle": Handle(JOB.job_id, "4711", 6),
    "submitted": 1_769_860_806.5,
    "submitted_at": 4242.25,
    "boot": "8d0c6a2e-0000-4000-8000-000000000000",
    "forwarded": Forwarded("c0", {"0": ""}, 5, ("header",), 7, 1, next=FORWARDED),
}
ENDED: dict[str, Any] = {**LIVE, "forwarded": FORWARDED, "outcome": OUTCOME, "stopped": Why.WALLTIME.value}
OPEN = [
    record(Stage.ASSIGNED),
    record(Stage.LAUNCHING, **LAUNCH),
    record(Stage.LAUNCHED, **LIVE),
    record(Stage.ENDED, **ENDED),
    record(Stage.STAGED, **ENDED),
    record(Stage.CLOSED, **ENDED),
]
OTHERS = [record(Stage.UNDONE, **ENDED), record(Stage.DONE, **ENDED)]


def restored(version: int, folder: Path) -> Path:
    """Make the journal that was kept of *version*, as if its daemon had just ended, and return its file."""
    file = folder / "journal.sqlite"
    with contextlib.closing(sqlite3.connect(file)) as database:
        database.executescript((JOURNALS / f"schema-{version}.sql").read_text())
        database.execute("UPDATE processes SET changed = unixepoch() + rowid")
        database.commit()
    return file


@pytest.mark.parametrize("version", range(1, SCHEMA_VERSION + 1))
def test_records_of_every_version_so_far_are_read_whole(version: int, tmp_path: Path) -> None:
    restored(version, tmp_path)

    check_journal(tmp_path)
    with Journal(tmp_path) as journal:
        assert list(journal.open_records()) == OPEN
        assert journal.undone(OTHERS[0].process_id) == OTHERS[0]
        assert journal.read(OTHERS[1].process_id, 1) == OTHERS[1]


@pytest.mark.parametrize("version", range(1, SCHEMA_VERSION + 1))
def test_a_live_job_that_a_former_version_had_launched_is_adopted(
    version: int, colony: Colony, daemon: DaemonProgram, tmp_path: Path
) -> None:
    go, ran = tmp_path / "go", tmp_path / "ran"
    daemon.start()
    process_id = colony.submit(f"echo once >> {ran}; echo one; until [ -e {go} ]; do sleep 0.1; done; echo two; exit 7")
    wait_for(lambda: "one" in colony.output(process_id), "its first line")
    daemon.kill()
    as_written_by(version, daemon.folder / "journal.sqlite")

    daemon.start()
    wait_for(lambda: '"adopted"' in daemon.log() or None, "its adoption")
    go.touch()

    assert colony.wait(process_id).state is ProcessState.FAILED
    assert colony.outcome(process_id)["exitcode"] == "7"
    assert colony.output(process_id) == ["one", "two"]
    assert ran.read_text() == "once\n"


def as_written_by(version: int, file: Path) -> None:
    """Leave in the records of a journal only the fields that *version* knew."""
    kept = sqlite3.connect(":memory:")
    kept.executescript((JOURNALS / f"schema-{version}.sql").read_text())
    former = json.loads(kept.execute("SELECT record FROM processes WHERE stage = 'launched'").fetchone()[0])
    kept.close()
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as database:
        rows = database.execute("SELECT rowid, record FROM processes WHERE stage = 'launched'").fetchall()
        assert len(rows) == 1
        text = json.dumps(known(former, json.loads(rows[0][1])))
        database.execute("UPDATE processes SET record = ? WHERE rowid = ?", [text, rows[0][0]])
        database.execute(f"PRAGMA user_version={version}")


def known(former: Any, now: Any) -> Any:
    """Return *now* without the fields that *former* did not have."""
    if isinstance(former, dict) and isinstance(now, dict) and former.keys() & now.keys():
        return {key: known(former[key], value) for key, value in now.items() if key in former}
    return now


def test_a_journal_of_a_newer_version_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    file = restored(SCHEMA_VERSION, tmp_path)
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as database:
        database.execute(f"PRAGMA user_version={SCHEMA_VERSION + 1}")
        database.execute("ALTER TABLE processes ADD COLUMN fancy TEXT")
    before = file.read_bytes()

    for opening in (Journal, check_journal):
        with pytest.raises(
            JournalError, match=r"written by a newer version.*start that version again, or let its jobs end"
        ):
            opening(tmp_path)

    assert file.read_bytes() == before


def test_a_record_with_a_field_that_is_not_known_here_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    file = restored(SCHEMA_VERSION, tmp_path)
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as database:
        database.execute("UPDATE processes SET record = json_set(record, '$.handle.fancy', 1) WHERE stage = 'launched'")
    before = file.read_bytes()

    for opening in (Journal, check_journal):
        with pytest.raises(
            JournalError, match=r"cannot read \(extra fields found \(fancy\) @ record.handle\).*start the version"
        ):
            opening(tmp_path)

    assert file.read_bytes() == before


def test_a_journal_that_was_refused_can_be_opened_by_the_right_version(tmp_path: Path) -> None:
    file = restored(SCHEMA_VERSION, tmp_path)
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as database:
        database.execute(f"PRAGMA user_version={SCHEMA_VERSION + 1}")
    with pytest.raises(JournalError):
        Journal(tmp_path)
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as database:
        database.execute(f"PRAGMA user_version={SCHEMA_VERSION}")

    with Journal(tmp_path) as journal:
        assert list(journal.open_records()) == OPEN


def test_the_command_line_says_what_to_do_about_a_newer_journal(colony: Colony, daemon: DaemonProgram) -> None:
    daemon.folder.mkdir()
    file = restored(SCHEMA_VERSION, daemon.folder)
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as database:
        database.execute(f"PRAGMA user_version={SCHEMA_VERSION + 1}")

    daemon.start()

    assert daemon.wait() == 70
    assert "written by a newer version of this program" in daemon.log()
    assert "Traceback" not in daemon.log()


def _keep(folder: Path) -> None:
    """Write the journal of the present schema down, once."""
    kept = JOURNALS / f"schema-{SCHEMA_VERSION}.sql"
    with Journal(folder) as journal:
        for each in (*OPEN, *OTHERS):
            journal.write(each)
    with contextlib.closing(sqlite3.connect(folder / "journal.sqlite")) as database, kept.open("x") as file:
        file.writelines(f"{line}\n" for line in (*database.iterdump(), f"PRAGMA user_version={SCHEMA_VERSION};"))


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        _keep(Path(name))
