"""A backend that keeps each job in a directory of a spool and runs it on this machine, without any container engine.

It is an example: complete, and small because it refuses what it cannot do. The directory of a job holds

==============  =======================================================================
``job.json``    the mark, the request, and when the job must have ended
``lock``        held by the keeper as long as it lives
``started``     the keeper has taken the job: nobody will ever start it again
``term kill``   somebody asked for the end
``output``      what the program printed
``result``      what it wrote to ``$COLONIES_OUTPUT``
``exit.json``   how it ended; written last, under a temporary name first
==============  =======================================================================
"""

import contextlib
import fcntl
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import attrs

from container_executor.backend import LOG_LIMIT, Backend
from container_executor.errors import Problem, UnavailableError, UnsupportedError
from container_executor.models import (
    OUTPUT_LIMIT,
    FailureClass,
    Fault,
    Found,
    Handle,
    Health,
    JobSpec,
    JobState,
    JobStatus,
    LogChunk,
    LogLine,
    Mark,
    Plan,
    RankStatus,
    exit_signal,
    rank_env,
)


@attrs.define(eq=False)
class SpoolBackend(Backend):
    """Jobs in a directory.

    Attributes:
        owner: Set by the daemon; a directory of the spool is called after it.
        root: The spool: a directory that exists.
    """

    name: ClassVar[str] = "spool"

    owner: str = ""
    root: Path = attrs.field(default=Path("/var/spool/container-executor"), converter=Path)

    def plan(self, job: JobSpec) -> Plan:
        if problems := _problems(job):
            raise UnsupportedError(problems)
        request = {
            "argv": list(job.argv),
            "env": dict(sorted(rank_env(job, 0).items())),
            "input": job.input,
            "walltime": job.walltime.total_seconds() if job.walltime else None,
            "grace": job.grace.total_seconds(),
        }
        return Plan(job, request)

    def submit(self, plan: Plan, *, lifetime: timedelta | None) -> Handle:
        ends_at = time.time() + lifetime.total_seconds() if lifetime is not None else None
        order = {"mark": plan.job.mark.to_dict(), **plan.request, "ends_at": ends_at}
        place = self._home() / plan.job_id
        with _spool_errors():
            _make_once(place, order)
            if not (place / "started").exists():
                null = (
                    subprocess.DEVNULL
                )  # a keeper that held on to a pipe of the daemon would hold up whoever reads it
                subprocess.run(self._keeper(place), check=True, stdin=null, stdout=null, stderr=null, timeout=30)
        return _handle(place)

    def status(self, handles: Collection[Handle]) -> Mapping[str, JobStatus]:
        home = self._home()
        with _spool_errors():
            places = [home / handle.job_id for handle in handles]
            return {place.name: _status(place) for place in places if (place / "job.json").exists()}

    def logs(self, handle: Handle, cursor: str = "", *, limit: int = LOG_LIMIT) -> LogChunk:
        place = self._home() / handle.job_id
        start = int(cursor or 0)
        with _spool_errors():
            if not (place / "job.json").exists():
                return LogChunk(cursor=cursor)
            ended = (place / "exit.json").exists()  # asked before the read: nothing is printed after it
            data = _read(place / "output", start, limit)
        lines, taken = _split(data, final=ended and len(data) < limit, limit=limit)
        return LogChunk(tuple(lines), str(start + taken), end=ended and not data[taken:] and len(data) < limit)

    def cancel(self, handle: Handle, *, force: bool = False) -> None:
        place = self._home() / handle.job_id
        with _spool_errors(), contextlib.suppress(FileNotFoundError):
            (place / ("kill" if force else "term")).touch()

    def remove(self, handle: Handle) -> None:
        self.cancel(handle, force=True)
        place = self._home() / handle.job_id
        with _spool_errors():
            if place.exists() and not _alive(place):
                shutil.rmtree(place, ignore_errors=True)

    def list_jobs(self) -> Collection[Found]:
        home = self._home()
        with _spool_errors():
            orders = {path.parent: json.loads(path.read_text()) for path in home.glob("ce-*/job.json")}
        return [Found(_handle(place), Mark.from_dict(order["mark"])) for place, order in orders.items()]

    def probe(self) -> Health:
        version = f"spool on {platform.node()}"
        if os.access(self.root, os.W_OK | os.X_OK):
            return Health(reachable=True, version=version)
        fault = Fault(
            f"{self.root} is no directory that may be written", f"mkdir -p {self.root}; chown it to this user"
        )
        return Health(reachable=False, version=version, faults=(fault,))

    def _keeper(self, place: Path) -> list[str]:
        """Return the command that runs a job; it returns once the job's keeper lives on its own."""
        return [sys.executable, "-m", "container_executor_spool.keeper", str(place)]

    def _home(self) -> Path:
        """Return the directory of this owner's jobs."""
        if not self.root.is_dir():
            raise UnavailableError(f"the spool {self.root} is not there; make the directory or mount it")
        home = self.root / self.owner
        with _spool_errors():
            home.mkdir(mode=0o700, exist_ok=True)
        return home


@contextlib.contextmanager
def _spool_errors() -> Iterator[None]:
    try:
        yield
    except (OSError, subprocess.SubprocessError) as error:
        raise UnavailableError(f"the spool did not do it: {error}") from error


def _problems(job: JobSpec) -> list[Problem]:
    refused = {
        "conditions.nodes": (job.ranks > 1, "the spool runs one rank only"),
        "conditions.gpu.count": (job.gpus > 0, "the spool hands out no GPUs"),
        "fs.mount": (bool(job.mounts), "the spool mounts nothing; name the host's own paths"),
    }
    return [Problem(path, message) for path, (wrong, message) in refused.items() if wrong]


def _handle(place: Path) -> Handle:
    return Handle(place.name, str(place))


def _make_once(place: Path, order: Mapping[str, Any]) -> None:
    """Make the job's directory whole, or leave the one that is there: a rename onto a directory with files in it fails."""
    partial = Path(tempfile.mkdtemp(dir=place.parent, prefix="partial-"))
    (partial / "work").mkdir()
    (partial / "input").write_text(order["input"])
    (partial / "job.json").write_text(json.dumps(order))
    try:
        partial.rename(place)
    except OSError:
        shutil.rmtree(partial)
        if not (place / "job.json").exists():
            raise


def _alive(place: Path) -> bool:
    """Tell whether a keeper holds the job's lock."""
    with (place / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _status(place: Path) -> JobStatus:
    rank = _rank(place)
    return JobStatus(rank.state, (rank,), native_id=str(place))


def _rank(place: Path) -> RankStatus:
    started = place / "started"
    if not started.exists():
        return RankStatus(0, JobState.PENDING)
    since = datetime.fromtimestamp(started.stat().st_mtime, UTC)
    alive = _alive(place)  # asked before the record is read: a keeper writes it and then goes
    if (place / "exit.json").exists():
        return _ended(place, since)
    if alive:
        return RankStatus(0, JobState.RUNNING, node=platform.node(), started=since)
    reason = "its keeper is gone and left no exit record: the machine was restarted, or somebody killed it"
    return RankStatus(0, JobState.FAILED, started=since, failure=FailureClass.NODE_LOST, reason=reason)


def _ended(place: Path, since: datetime) -> RankStatus:
    record = json.loads((place / "exit.json").read_text())
    result = _read(place / "result", 0, OUTPUT_LIMIT + 1)
    return RankStatus(
        rank=0,
        state=JobState.FAILED if record["code"] or record["failure"] else JobState.SUCCEEDED,
        exit_code=record["code"],
        signal=exit_signal(record["code"]),
        node=platform.node(),
        started=since,
        ended=datetime.fromtimestamp(record["ended"], UTC),
        failure=FailureClass(record["failure"]) if record["failure"] else None,
        reason=record["reason"],
        output=result.decode(errors="replace") or None,
    )


def _read(path: Path, start: int, size: int) -> bytes:
    if not path.exists():
        return b""
    with path.open("rb") as file:
        file.seek(start)
        return file.read(size)


def _split(data: bytes, *, final: bool, limit: int) -> tuple[list[LogLine], int]:
    """Return the lines in *data* and how many of its bytes they are.

    The beginning of a line waits for the rest, unless nothing more comes or it fills the whole answer.
    """
    *complete, rest = data.split(b"\n")
    lines = [LogLine(0, None, line) for line in complete]
    if rest and (final or len(rest) >= limit):
        return [*lines, LogLine(0, None, rest, complete=False)], len(data)
    return lines, len(data) - len(rest)
