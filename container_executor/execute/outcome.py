"""What became of a job: :func:`conclude` turns the evidence into the verdict. Nothing here acts.

The verdict is the earliest failure before our own stop: what a program answers to our TERM proves nothing about it.
"""

import json
import signal
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import attrs

from container_executor.errors import BackendError, UnavailableError
from container_executor.execute.decide import Stop, Why
from container_executor.models import OUTPUT_LIMIT, FailureClass, JobState, JobStatus, RankStatus, exit_signal


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


def stopped_while_storing(why: Why, outcome: Outcome) -> Outcome:
    """Return the outcome of a job that had ended when its process was stopped, and whose results are not all stored."""
    failure, message = _STOPPED[why]
    return spoiled(outcome, failure, f"{message} before its results were stored")


def spoiled(outcome: Outcome, failure: FailureClass, message: str) -> Outcome:
    """Return what an outcome becomes when something goes wrong after the job's end: its own failure stays the class."""
    if not outcome.succeeded:
        return attrs.evolve(outcome, message=f"{outcome.message}; {message}")
    return attrs.evolve(outcome, succeeded=False, failure=failure, message=message)


def class_of(error: BackendError) -> FailureClass:
    """Return the class of an engine's error."""
    if error.failure:
        return FailureClass(error.failure)
    return FailureClass.ENGINE_UNAVAILABLE if isinstance(error, UnavailableError) else FailureClass.NEVER_STARTED


def waited_for(error: BackendError) -> str:
    """Return what a user is told while an engine, or a registry, that did not answer is asked again."""
    failure = class_of(error)
    return f"{failure.value}: {error} ({failure.hint}); asking again"


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


def stopped_by_engine(status: JobStatus, moment: datetime | None) -> bool:
    """Return whether a job that has ended was stopped by the engine, at the end of its lifetime, before we stopped it.

    Args:
        status: The engine's evidence. Few engines tell why a program ended.
        moment: When the engine was to send TERM; None where that was still ahead when the end was seen. Clocks of the day may
            differ, and be set: they decide only where neither our own clock nor the signal does.
    """
    culprit = status.failed_rank
    if culprit is not None and culprit.failure not in (None, FailureClass.USER_EXIT):
        return culprit.failure is FailureClass.LEASE_EXPIRED
    ranks = status.ranks if culprit is None else (culprit,)
    return moment is not None and any(_ended_by_stop(rank) or _ended_since(rank, moment) for rank in ranks)


def _ended_by_stop(rank: RankStatus) -> bool:
    return (rank.signal or exit_signal(rank.exit_code)) in (signal.SIGTERM, signal.SIGKILL)


def _ended_since(rank: RankStatus, moment: datetime) -> bool:
    return rank.ended is not None and rank.ended >= moment


def _ended_before(ranks: Sequence[RankStatus], moment: datetime) -> bool:
    return all(rank.ended is not None and _at_latest(rank.ended) <= moment for rank in ranks)


def _at_latest(told: datetime) -> datetime:
    """Return the end of the second where an engine tells whole seconds, as Kubernetes does: it cuts the fraction off."""
    return told if told.microsecond else told + timedelta(seconds=1)


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
