"""What is done about a running job. Decisions only; nothing here acts.

:func:`decide` is asked whenever something changed or a time has come.
"""

import enum
from datetime import datetime

import attrs

from container_executor.models import FailureClass, JobState, JobStatus, RankStatus

VANISHED_ANSWERS = 3
VANISHED_SPAN = 15.0
VANISHED_NOT_BEFORE = 30.0
"""A job that the engine denies in three answers over 15 s, and not within 30 s of its submit, has vanished."""
FORCE_AGAIN = 10.0
"""Seconds after which a KILL that had no effect is sent again."""


class Why(enum.StrEnum):
    """Why we stop a job."""

    LOST = "lost"  # the process is not ours any more
    CANCELLED = "cancelled"  # somebody cancelled the process
    ABORTED = "aborted"  # the operator stops this executor and its jobs
    LEASE = "lease"  # the lease ends
    WALLTIME = "walltime"
    RANK_FAILED = "rank_failed"  # one rank failed; the others end with it
    PENDING = "pending"  # the engine did not start it in time


@attrs.frozen
class Stop:
    """A stop that we ordered.

    Attributes:
        why: The reason.
        at: When TERM was sent, on the boot clock.
        wall: The same on the clock of the day.
        failed: The rank that had failed by then, if any.
        waiting: The engine's reason why the job had not started by then.
        failure: The class that the engine's words had proved by then.
        forced: When KILL was sent last, on the boot clock.
    """

    why: Why
    at: float
    wall: datetime
    failed: RankStatus | None = None
    waiting: str = ""
    failure: FailureClass | None = None
    forced: float | None = None


@attrs.frozen
class Sight:
    """What is known of a launched job at one moment.

    Attributes:
        status: The engine's last answer; None before the first and while it denies the job.
        submitted: When the job was submitted, on the boot clock.
        denials: How many answers in a row denied the job.
        denied_since: When the first of them came, on the boot clock.
        started: When its program was first seen to run, or its ranks were released.
    """

    status: JobStatus | None
    submitted: float
    denials: int = 0
    denied_since: float = 0.0
    started: float | None = None


@attrs.frozen
class Times:
    """The times at which a job must be stopped, None for never.

    Attributes:
        grace: Seconds between TERM and KILL.
        stop_at: When the lease is too short to go on, on the boot clock.
        walltime: Seconds that the program may run.
        pending: Seconds that the engine may take to start it.
        deadline: When the server takes the process back, on the boot clock: past it the job is not ours any more.
        engine_stop: When the engine itself sends TERM, on the boot clock, whether we are there or not.
    """

    grace: float
    stop_at: float | None = None
    walltime: float | None = None
    pending: float | None = None
    deadline: float | None = None
    engine_stop: float | None = None


class Act(enum.Enum):
    """What to do now."""

    WAIT = "wait"
    RELEASE = "release"
    STOP = "stop"
    FORCE = "force"
    ENDED = "ended"
    VANISHED = "vanished"


@attrs.frozen
class Step:
    """What to do now; *why* goes with STOP, *until* says when to look again if nothing happens."""

    act: Act
    why: Why | None = None
    until: float | None = None


def decide(now: float, sight: Sight, times: Times, stop: Stop | None, interrupt: Why | None) -> Step:
    """Return what to do about a launched job."""
    if sight.status is not None and sight.status.state.ended:
        return Step(Act.ENDED)
    if _vanished(now, sight):
        return Step(Act.VANISHED)
    if stop is not None:
        return _while_stopping(now, times, stop, interrupt)
    why = Why.LOST if _overdue(now, times) else interrupt or _must_stop(now, sight, times)
    if why is not None:
        return Step(Act.STOP, why)
    if sight.status is not None and sight.status.state is JobState.HELD:
        return Step(Act.RELEASE)
    return Step(Act.WAIT, until=_next_time(sight, times))


def _vanished(now: float, sight: Sight) -> bool:
    return (
        sight.denials >= VANISHED_ANSWERS
        and now - sight.denied_since >= VANISHED_SPAN
        and now - sight.submitted >= VANISHED_NOT_BEFORE
    )


def _overdue(now: float, times: Times) -> bool:
    return times.deadline is not None and now >= times.deadline


def _while_stopping(now: float, times: Times, stop: Stop, interrupt: Why | None) -> Step:
    patience = 0.0 if Why.LOST in (stop.why, interrupt) or _overdue(now, times) else times.grace
    due = stop.at + patience if stop.forced is None else stop.forced + FORCE_AGAIN
    return Step(Act.FORCE) if now >= due else Step(Act.WAIT, until=due)


def _must_stop(now: float, sight: Sight, times: Times) -> Why | None:
    if sight.status is not None and any(rank.state is JobState.FAILED for rank in sight.status.ranks):
        return Why.RANK_FAILED
    if times.stop_at is not None and now >= times.stop_at:
        return Why.LEASE
    if times.walltime is not None and sight.started is not None and now >= sight.started + times.walltime:
        return Why.WALLTIME
    if times.pending is not None and sight.started is None and now >= sight.submitted + times.pending:
        return Why.PENDING
    return None


def _next_time(sight: Sight, times: Times) -> float | None:
    due = [times.stop_at]
    if sight.started is None:
        due.append(None if times.pending is None else sight.submitted + times.pending)
    else:
        due.append(None if times.walltime is None else sight.started + times.walltime)
    return min((time for time in due if time is not None), default=None)
