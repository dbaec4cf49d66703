"""What became of a job: exit records first, srun's words second, Slurm's state last. Pure."""

import re
from datetime import datetime

from container_executor.models import FailureClass, JobState, JobStatus, RankStatus, job_state
from container_executor_slurm.evidence import Evidence
from container_executor_slurm.records import Exit

_SIGNALLED = {"Killed": 137, "Terminated": 143, "Out Of Memory": 137}
_EXITED = re.compile(r"Exited with exit code (\d+)")
_NOTHING_RAN = {"expired": FailureClass.NEVER_STARTED, "cancelled": FailureClass.CANCELLED}
_CAUSES = {
    "walltime": FailureClass.WALLTIME,
    "lifetime": FailureClass.LEASE_EXPIRED,
    "unstarted": FailureClass.NEVER_STARTED,
    "cancelled": FailureClass.CANCELLED,
}


def judge(evidence: Evidence, native_id: str, now: datetime) -> JobStatus:
    """Return the status that *evidence* proves."""
    if not evidence.settled(now):
        return _live(evidence, native_id, now)
    ranks = tuple(_ended_rank(evidence, rank) for rank in range(evidence.ranks))
    state = _ended_state(evidence, ranks)
    return JobStatus(state, ranks, _failure(evidence), _reason(evidence), native_id)


def _live(evidence: Evidence, native_id: str, now: datetime) -> JobStatus:
    ranks = tuple(_live_rank(evidence, rank, now) for rank in range(evidence.ranks))
    state = job_state(ranks, evidence.ranks)
    slurm = evidence.slurm
    if state.ended:
        state = JobState.RUNNING
    if slurm is None or not slurm.waits:
        return JobStatus(state, ranks, native_id=native_id)
    return JobStatus(state, ranks, slurm.failure, slurm.words(), native_id)


def _live_rank(evidence: Evidence, rank: int, now: datetime) -> RankStatus:
    record = evidence.exits.get(rank)
    if record is not None and not evidence.awaits_reason(rank, now):
        return _recorded(evidence, rank)
    began = record.began if record else evidence.began.get(rank)
    state = JobState.RUNNING if began else JobState.PENDING
    return RankStatus(rank, state, image_id=evidence.image, started=began)


def _ended_rank(evidence: Evidence, rank: int) -> RankStatus:
    return _recorded(evidence, rank) if rank in evidence.exits else _unrecorded(evidence, rank)


def _recorded(evidence: Evidence, rank: int) -> RankStatus:
    record = evidence.exits[rank]
    failure = _rank_failure(evidence, rank, record)
    failed = record.code != 0 or failure is not None
    state = JobState.CANCELLED if record.cause == "cancelled" else JobState.FAILED if failed else JobState.SUCCEEDED
    return RankStatus(
        rank,
        state,
        exit_code=record.code,
        node=record.node,
        image_id=evidence.image,
        started=record.began,
        ended=record.ended,
        failure=failure,
        reason=evidence.complaints.get(rank, "") or (evidence.srun.get(rank, "") if failed else ""),
        output=evidence.outputs.get(rank),
    )


def _rank_failure(evidence: Evidence, rank: int, record: Exit) -> FailureClass | None:
    if record.cause == "unstarted" and "executable file not found" in evidence.complaints.get(rank, ""):
        return FailureClass.INVALID_SPEC
    if record.cause:
        return _CAUSES.get(record.cause)
    if record.code == 137 and evidence.srun.get(rank) == "Out Of Memory":
        return FailureClass.OOM
    return None


def _unrecorded(evidence: Evidence, rank: int) -> RankStatus:
    """Return the status of a rank that was ended so hard that it left no record, or that never began."""
    words = evidence.srun.get(rank, "")
    code = _code(words)
    cancelled = _job_failure(evidence) is FailureClass.CANCELLED
    untouched = evidence.done is not None and evidence.done.reason == "cancelled"
    state = JobState.CANCELLED if code is None and (cancelled or untouched) else JobState.FAILED
    return RankStatus(
        rank,
        state,
        exit_code=code,
        image_id=evidence.image,
        started=evidence.began.get(rank),
        failure=FailureClass.OOM if words == "Out Of Memory" else None,
        reason=words or ("" if state is JobState.CANCELLED else "it left no exit record"),
        output=evidence.outputs.get(rank),
    )


def _code(words: str) -> int | None:
    """Return the exit code in srun's words about a task."""
    exited = _EXITED.fullmatch(words)
    return int(exited[1]) if exited else _SIGNALLED.get(words)


def _ended_state(evidence: Evidence, ranks: tuple[RankStatus, ...]) -> JobState:
    failure = _job_failure(evidence)
    if failure is FailureClass.CANCELLED:
        return JobState.CANCELLED
    state = job_state(ranks, evidence.ranks)
    # Ranks that said 0 to a TERM of Slurm's have not done what they were to do.
    return JobState.FAILED if state is JobState.SUCCEEDED and failure else state


def _job_failure(evidence: Evidence) -> FailureClass | None:
    """Return the class of what Slurm did to the job as a whole. What follows a requeue, a scancel too, is not the job's end."""
    return FailureClass.EVICTED if evidence.requeued else evidence.slurm_failure


def _failure(evidence: Evidence) -> FailureClass | None:
    if evidence.complete:
        return None
    reason = evidence.done.reason if evidence.done else ""
    if reason in _NOTHING_RAN:
        return _NOTHING_RAN[reason]
    failure = _job_failure(evidence)
    if failure is not None or reason == "ended" or evidence.recorded:
        return failure
    return FailureClass.UNKNOWN if evidence.exits or evidence.began else FailureClass.NEVER_STARTED


def _reason(evidence: Evidence) -> str:
    """Return who says what, where the exit records alone do not tell it all."""
    if evidence.complete:
        return ""
    if evidence.done is not None and evidence.done.reason == "cancelled":
        return "it was cancelled before it ran"
    if evidence.requeued:
        return "Slurm put the job back into its queue; a job runs once, so that was its end"
    missing = [str(rank) for rank in range(evidence.ranks) if rank not in evidence.exits]
    if evidence.done is not None and evidence.done.reason == "expired":
        return "it came to its turn after the end of its lifetime, and did not run"
    said = (
        evidence.slurm.words() if evidence.slurm else f"srun ended with {evidence.done.code if evidence.done else '?'}"
    )
    return f"{said}; no exit record from rank {', '.join(missing)}" if missing else said
