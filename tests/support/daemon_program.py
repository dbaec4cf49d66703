"""The daemon as the command line starts it, except for faults that no outside can provoke.

``CE_KILL=before:7`` kills it with SIGKILL before the seventh journal record is written, ``after:7`` after it; the number counts
from the first record of this run. ``CE_CLOCK=FILE`` adds the seconds that the file holds to its time of day, as if somebody had
set the clock; the file is read anew each time. ``CE_FAULTY=FOLDER`` makes the process backend a bad one: its plan raises for the
image ``raises``, its submit never returns for the image ``blocks``, and it does not answer while ``FOLDER/silent`` is there. While
``FOLDER/lossy`` is there, the first submit of each job is carried out, noted in ``FOLDER/made``, and not answered. Storing what a job left
in a directory with the label ``/faulty`` raises.
"""

import itertools
import os
import signal
import threading
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path

from container_executor_process import ProcessBackend

from container_executor.errors import UnavailableError
from container_executor.execute import clock
from container_executor.execute.journal import Journal
from container_executor.execute.record import Record
from container_executor.execute.staging.directory import Directory
from container_executor.models import Handle, JobSpec, JobStatus, Plan

_written = itertools.count(1)
_write = Journal.write
_moment, _, _number = os.environ.get("CE_KILL", "").partition(":")
_shift = os.environ.get("CE_CLOCK", "")


def _write_or_die(journal: Journal, record: Record) -> None:
    number = next(_written)
    if (_moment, str(number)) == ("before", _number):
        os.kill(os.getpid(), signal.SIGKILL)
    _write(journal, record)
    if (_moment, str(number)) == ("after", _number):
        os.kill(os.getpid(), signal.SIGKILL)


class _SetClock(datetime):
    @classmethod
    def now(cls, tz: tzinfo | None = None) -> "_SetClock":
        moment = datetime.now(UTC) + timedelta(seconds=float(Path(_shift).read_text()))
        return cls.fromtimestamp(moment.timestamp(), tz)


def _make_faulty(folder: Path) -> None:
    plan, submit, status = ProcessBackend.plan, ProcessBackend.submit, ProcessBackend.status

    def faulty_plan(backend: ProcessBackend, job: JobSpec) -> Plan:
        if job.image == "raises":
            raise ZeroDivisionError("a fault in a backend")
        return plan(backend, job)

    def blocking_submit(backend: ProcessBackend, asked: Plan, *, lifetime: timedelta | None) -> Handle:
        if asked.job.image == "blocks":
            threading.Event().wait()
        handle = submit(backend, asked, lifetime=lifetime)
        if (folder / "lossy").exists() and _is_first(folder / "made", asked.job_id):
            raise UnavailableError("the reply was lost")
        return handle

    def silent_status(backend: ProcessBackend, handles: Collection[Handle]) -> Mapping[str, JobStatus]:
        if (folder / "silent").exists():
            raise UnavailableError("the engine does not answer")
        return status(backend, handles)

    for name, function in (("plan", faulty_plan), ("submit", blocking_submit), ("status", silent_status)):
        setattr(ProcessBackend, name, function)


def _make_staging_faulty() -> None:
    bring_out = Directory.bring_out

    async def faulty_bring_out(directory: Directory) -> None:
        if directory.entry.label == "/faulty":
            raise ZeroDivisionError("a fault in the staging")
        await bring_out(directory)

    setattr(Directory, "bring_out", faulty_bring_out)  # noqa: B010


def _is_first(folder: Path, name: str) -> bool:
    folder.mkdir(exist_ok=True)
    try:
        (folder / name).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


if __name__ == "__main__":
    if os.environ.get("CE_FAULTY"):
        _make_faulty(Path(os.environ["CE_FAULTY"]))
        _make_staging_faulty()
    setattr(Journal, "write", _write_or_die)  # noqa: B010
    if _shift:
        setattr(clock, "datetime", _SetClock)  # noqa: B010
    from container_executor.cli import main

    main()
