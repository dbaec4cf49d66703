"""What is done about a running job, and what became of it. Decisions only; nothing here acts.

:func:`decide` is asked whenever something changed or a time has come; :func:`conclude` turns the evidence into the verdict.
The verdict is the earliest failure before our own stop: what a program answers to our TERM proves nothing about it.
"""

import enum
import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import attrs

from container_executor.errors import BackendError, UnavailableError
from container_executor.models import OUTPUT_LIMIT, FailureClass, JobState, JobStatus, RankStatus, exit_signal

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
    """

    grace: float
    stop_at: float | None = None
    walltime: float | None = None
    pending: float | None = None
    deadline: float | None = None


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


# --- the verdict ------------------------------------------------------------------------------------------------------


@attrs.frozen
class Outcome:
    """What became of a job.

    Attributes:
        succeeded: Every rank ended with exit code 0.
        failure: Why it did not succeed, None where it did.
        message: One sentence for the user.
        exit_code: 0 on success, else that of the rank that failed first; None where no program ended by itself.
        signal: The signal that ended that rank, where the engine can tell.
        rank: The rank that failed first.
        node: Where that rank ran.
        started: When the first rank started.
        ended: When the last rank ended.
        image_id: Digest or id of the image that ran.
        native_id: The engine's own id of the job.
        launch: Which launch it was.
        output: What rank 0 wrote to ``$COLONIES_OUTPUT``.
    """

    succeeded: bool
    failure: FailureClass | None = None
    message: str = ""
    exit_code: int | None = None
    signal: int | None = None
    rank: int | None = None
    node: str = ""
    started: datetime | None = None
    ended: datetime | None = None
    image_id: str = ""
    native_id: str = ""
    launch: int = 0
    output: str | None = None

    @property
    def reason(self) -> str:
        """The message with the class and what to do about it, as it is written into the log and the close."""
        if self.failure is None:
            return self.message
        return f"{self.failure.value}: {self.message} ({self.failure.hint})"

    def to_json(self) -> str:
        """Return the outcome as JSON, without what is unset and without the output."""
        fields = attrs.asdict(self, value_serializer=_serialize)
        del fields["output"]
        return json.dumps({key: value for key, value in fields.items() if value not in (None, "")}, sort_keys=True)


def _serialize(_owner: object, _field: object, value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def failed(failure: FailureClass, message: str) -> Outcome:
    """Return the outcome of a job that no program's end explains."""
    return Outcome(succeeded=False, failure=failure, message=message)


def stopped_early(why: Why) -> Outcome:
    """Return the outcome of a process that was stopped before its job was launched."""
    failure, message = _STOPPED[why]
    return failed(failure, f"{message}; it had not been launched")


def class_of(error: BackendError) -> FailureClass:
    """Return the class of an engine's error."""
    if error.failure:
        return FailureClass(error.failure)
    return FailureClass.ENGINE_UNAVAILABLE if isinstance(error, UnavailableError) else FailureClass.NEVER_STARTED


def output_of(outcome: Outcome) -> list[Any]:
    """Return what a process is closed with: a JSON list that rank 0 wrote as it is, any other text as one element."""
    if not outcome.output:
        return []
    try:
        value = json.loads(outcome.output)
    except (ValueError, RecursionError):
        return [outcome.output]
    return value if isinstance(value, list) else [outcome.output]


def vanished() -> Outcome:
    """Return the outcome of a job that the engine does not have any more."""
    return failed(FailureClass.VANISHED, "the engine does not have the job any more and recorded no end of it")


def conclude(status: JobStatus, stop: Stop | None, *, grace: timedelta) -> Outcome:
    """Return the verdict on a job that has ended.

    Args:
        status: The engine's evidence.
        stop: Our own stop, if there was one.
        grace: What the program was given after TERM, for the message.
    """
    if status.state is JobState.SUCCEEDED and (stop is None or _ended_before(status.ranks, stop.wall)):
        verdict = _success(status)
    elif stop is not None and stop.why is not Why.RANK_FAILED:
        verdict = _stopped(status, stop, grace)
    else:
        verdict = _own_failure(status, stop)
    return attrs.evolve(
        verdict,
        started=min((rank.started for rank in status.ranks if rank.started), default=None),
        ended=max((rank.ended for rank in status.ranks if rank.ended), default=None),
        image_id=next((rank.image_id for rank in status.ranks if rank.image_id), ""),
        native_id=status.native_id,
    )


def _ended_before(ranks: Sequence[RankStatus], moment: datetime) -> bool:
    return all(rank.ended is not None and rank.ended <= moment for rank in ranks)


def _success(status: JobStatus) -> Outcome:
    output = next((rank.output for rank in status.ranks if rank.rank == 0), None)
    if output is not None and len(output.encode()) > OUTPUT_LIMIT:
        return failed(
            FailureClass.USER_EXIT,
            f"$COLONIES_OUTPUT holds more than {OUTPUT_LIMIT} bytes; write larger results to a file",
        )
    if any(rank.exit_code != 0 for rank in status.ranks):
        return failed(FailureClass.UNKNOWN, "the engine calls the job successful, but not every rank has exit code 0")
    return Outcome(succeeded=True, message="every rank ended with exit code 0", exit_code=0, output=output)


_STOPPED = {
    Why.LOST: (FailureClass.LEASE_EXPIRED, "the process is not assigned to this executor any more"),
    Why.CANCELLED: (FailureClass.CANCELLED, "the process was cancelled"),
    Why.ABORTED: (FailureClass.EVICTED, "the operator stopped this executor and its jobs"),
    Why.LEASE: (FailureClass.LEASE_EXPIRED, "the job was stopped because maxexectime is over"),
    Why.WALLTIME: (FailureClass.WALLTIME, "the job was stopped because its walltime is over"),
}


def _stopped(status: JobStatus, stop: Stop, grace: timedelta) -> Outcome:
    if stop.failed is not None:
        return _of_rank(stop.failed, len(status.ranks))
    if stop.why is Why.PENDING:
        return failed(
            stop.failure or FailureClass.UNSCHEDULABLE,
            f"the engine did not start the job in time: {stop.waiting or 'no reason given'}",
        )
    failure, message = _STOPPED[stop.why]
    rank = status.failed_rank or next((rank for rank in status.ranks if rank.exit_code is not None), None)
    code = rank.exit_code if rank else None
    answer = (
        f"; it ended with exit code {code}"
        if code is not None
        else f"; it was killed after {grace.total_seconds():g} s of grace"
    )
    return attrs.evolve(
        failed(failure, message + answer),
        exit_code=code,
        rank=rank.rank if rank else None,
        node=rank.node if rank else "",
    )


def _own_failure(status: JobStatus, stop: Stop | None) -> Outcome:
    culprit = (stop.failed if stop else None) or status.failed_rank
    if culprit is not None:
        return _of_rank(culprit, len(status.ranks), status)
    if status.state is JobState.CANCELLED:
        return failed(FailureClass.CANCELLED, status.reason or "somebody cancelled the job on the engine")
    return failed(status.failure or FailureClass.UNKNOWN, status.reason or "the engine gave no reason")


def _of_rank(rank: RankStatus, ranks: int, status: JobStatus | None = None) -> Outcome:
    failure = rank.failure or (status.failure if status else None) or FailureClass.USER_EXIT
    if rank.exit_code is None and failure is FailureClass.USER_EXIT:
        failure = FailureClass.UNKNOWN
    reason = rank.reason or (status.reason if status else "")
    return Outcome(
        succeeded=False,
        failure=failure,
        message=_words(rank, ranks) + (f": {reason}" if reason else ""),
        exit_code=rank.exit_code,
        signal=rank.signal,
        rank=rank.rank,
        node=rank.node,
    )


def _words(rank: RankStatus, ranks: int) -> str:
    who = f"rank {rank.rank}" if ranks > 1 else "the program"
    if rank.signal is not None:
        return f"{who} was ended by signal {rank.signal}"
    if rank.exit_code is None:
        return f"{who} failed without an exit code"
    number = exit_signal(rank.exit_code)
    return f"{who} ended with exit code {rank.exit_code}" + (f" (128 + signal {number})" if number else "")
