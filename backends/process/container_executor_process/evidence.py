"""What became of a job, from the files in its directory and from whether its supervisor lives."""

import contextlib
import json
import os
import stat
import time
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from container_executor.models import (
    OUTPUT_LIMIT,
    FailureClass,
    JobState,
    JobStatus,
    RankStatus,
    job_state,
)
from container_executor_process import leftovers
from container_executor_process.supervisor import layout, limits

_REBOOTED = "this machine was restarted before the end of the job was written down"
_KILLED = "the supervisor of the job was killed; nobody saw how its programs ended"


def read_status(directory: Path, ranks: int) -> JobStatus | None:
    """Return what is known of the job in *directory*, or None where there is none.

    A job whose supervisor is gone without a word is failed here for good: what is left of its programs is ended first.
    """
    try:
        return _status(directory, ranks)
    except FileNotFoundError:  # removed while we looked
        return None


def _status(directory: Path, ranks: int) -> JobStatus:
    names = set(os.listdir(directory))
    if layout.SUPERVISOR not in names:
        return _unstarted(directory, ranks, names)
    if not _complete(names, ranks) and layout.LOST not in names:
        # The lock was taken before the file that names the supervisor appeared, so a lock that is free by now is free
        # for good, and so is what the supervisor wrote.
        if layout.lock_holder(str(directory / layout.LOCK)) is not None:
            return _live(directory, ranks, names)
        names = set(os.listdir(directory))
        if not _complete(names, ranks):
            _mourn(directory)
    return _ended(directory, ranks)


def may_start(directory: Path) -> bool:
    """Return whether the job was never started, and may be: a job of a former boot may have run without a trace."""
    if (directory / layout.SUPERVISOR).exists():
        return False
    return bool(_read(directory / layout.JOB)["boot"] == layout.boot_id())


def is_over(directory: Path, ranks: int) -> bool:
    """Return whether nothing of the job can change any more, by its files alone."""
    if os.path.exists(f"{directory}/{layout.LOST}"):
        return True
    return all(os.path.exists(f"{directory}/{layout.end_name(rank)}") for rank in range(ranks))


def _complete(names: Collection[str], ranks: int) -> bool:
    return all(layout.end_name(rank) in names for rank in range(ranks))


def native_id(directory: Path) -> str:
    """Return the pid of the job's supervisor, "" where it has none."""
    with contextlib.suppress(FileNotFoundError, ValueError):
        return str(_read(directory / layout.SUPERVISOR)["pid"])
    return ""


# --- jobs that have not ended -----------------------------------------------------------------------------------------


def _unstarted(directory: Path, ranks: int, names: Collection[str]) -> JobStatus:
    if layout.CANCEL in names or layout.KILL in names:  # a supervisor that starts now finds the request
        return _all(ranks, JobState.CANCELLED, None, "cancelled before it started")
    if _read(directory / layout.JOB)["boot"] != layout.boot_id():
        return _all(ranks, JobState.FAILED, FailureClass.NODE_LOST, _REBOOTED)
    return _all(ranks, JobState.PENDING, None, "waits for its supervisor")


def _all(ranks: int, state: JobState, failure: FailureClass | None, reason: str) -> JobStatus:
    each = tuple(RankStatus(rank, state, failure=failure, reason=reason) for rank in range(ranks))
    return JobStatus(state, each, failure=failure, reason=reason)


def _live(directory: Path, ranks: int, names: Collection[str]) -> JobStatus:
    started = _started(directory) if layout.RUNNING in names else None
    state = JobState.PENDING if started is None else JobState.RUNNING
    each = [
        _rank(directory, rank)
        if layout.end_name(rank) in names
        else RankStatus(rank, state, node=os.uname().nodename, started=started)
        for rank in range(ranks)
    ]
    return JobStatus(job_state(each, ranks), tuple(each), native_id=native_id(directory))


def _started(directory: Path) -> datetime:
    return _time(_read(directory / layout.RUNNING)["started"])


# --- jobs that have ended ---------------------------------------------------------------------------------------------


def _ended(directory: Path, ranks: int) -> JobStatus:
    ends = [_read_end(directory / layout.end_name(rank)) for rank in range(ranks)]
    if None in ends and not (directory / layout.LOST).exists():  # a power loss left a record without its content
        _mourn(directory)
    each = tuple(_rank(directory, rank) for rank in range(ranks))
    first = next((rank for rank in each if rank.failure), None)
    return JobStatus(
        job_state(each, ranks),
        each,
        failure=first.failure if first else None,
        reason=first.reason if first else next((rank.reason for rank in each if rank.reason), ""),
        native_id=native_id(directory),
    )


def _rank(directory: Path, rank: int) -> RankStatus:
    end = _read_end(directory / layout.end_name(rank))
    if end is None:
        return _lost_rank(directory, rank)
    return RankStatus(
        rank,
        _state(end),
        exit_code=end.exit_code,
        signal=end.signal,
        node=os.uname().nodename,
        started=_time(end.started) if end.started is not None else None,
        ended=_time(end.ended),
        failure=FailureClass(end.cause) if end.cause not in ("", layout.CANCELLED) else None,
        reason=end.reason,
        output=_output(directory / layout.output_name(rank)),
    )


def _state(end: layout.End) -> JobState:
    if end.cause == layout.CANCELLED:
        return JobState.CANCELLED
    return JobState.SUCCEEDED if end.exit_code == 0 and not end.cause else JobState.FAILED


def _read_end(path: Path) -> layout.End | None:
    try:
        return layout.parse_end(path.read_bytes())
    except FileNotFoundError:
        return None


def _output(path: Path) -> str | None:
    """Read what the job left, which may be anything: only a file of its own is read, and only as much as is allowed."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        return file.read(OUTPUT_LIMIT + 1).decode(errors="replace") or None


# --- jobs that nobody saw end -----------------------------------------------------------------------------------------


def _mourn(directory: Path) -> None:
    """Write down that nobody can say how the job ended, once nothing of it runs any more."""
    order = layout.read_order(str(directory))
    rebooted = order.boot != layout.boot_id()
    if not rebooted:
        end_leftovers(directory, order.marker)
    trouble = directory / layout.TROUBLE
    told = f"; it said: {trouble.read_text()}" if trouble.exists() else ""
    content = {
        "failure": FailureClass.NODE_LOST if rebooted else FailureClass.UNKNOWN,
        "reason": _REBOOTED if rebooted else _KILLED + told,
        "ended": time.time(),
    }
    layout.write_new(str(directory / layout.LOST), content)


def end_leftovers(directory: Path, marker: str) -> None:
    """Kill what a supervisor that is gone left behind, and take its control groups away."""
    leftovers.end(marker)
    with contextlib.suppress(FileNotFoundError, ValueError):
        limits.clear(_read(directory / layout.SUPERVISOR)["groups"])


def _lost_rank(directory: Path, rank: int) -> RankStatus:
    lost = _read(directory / layout.LOST)
    return RankStatus(
        rank,
        JobState.FAILED,
        node=os.uname().nodename,
        started=_started(directory) if (directory / layout.RUNNING).exists() else None,
        ended=_time(lost["ended"]),
        failure=FailureClass(lost["failure"]),
        reason=lost["reason"],
    )


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_bytes())
    return content


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
