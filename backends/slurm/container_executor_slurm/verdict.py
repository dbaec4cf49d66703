"""What became of a job: exit records first, srun's words second, Slurm's state last. Pure."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta

import attrs

from container_executor.models import FailureClass, JobState, JobStatus, RankStatus, job_state
from container_executor_slurm.jobdir import Done, Exit
from container_executor_slurm.states import SlurmState

SETTLE = timedelta(seconds=15)
"""How long a file written on a node may take to be seen here, as network file systems cache what is not there."""

_SIGNALLED = {"Killed": 137, "Terminated": 143, "Out Of Memory": 137}
_EXITED = re.compile(r"Exited with exit code (\d+)")
_NOTHING_RAN = {"expired": FailureClass.NEVER_STARTED, "cancelled": FailureClass.CANCELLED}
_CAUSES = {
    "walltime": FailureClass.WALLTIME,
    "lifetime": FailureClass.LEASE_EXPIRED,
    "unstarted": FailureClass.NEVER_STARTED,
    "cancelled": FailureClass.CANCELLED,
}


@attrs.frozen
class Evidence:
    """All that is known of a job.

    Attributes:
        ranks: How many there are.
        image: What runs.
        exits: Exit records by rank.
        began: When programs began, of ranks without a record.
        outputs: What ranks wrote to ``$COLONIES_OUTPUT``.
        complaints: The last words of Apptainer, of ranks that it could not start.
        srun: What srun said, by rank; whole only once there is *done*.
        done: The record of the batch script.
        slurm: What Slurm says, None where it was not asked.
        waited: How long ago Slurm was first seen to say that the job has ended.
    """

    ranks: int
    image: str = ""
    exits: Mapping[int, Exit] = attrs.field(factory=dict)
    began: Mapping[int, datetime] = attrs.field(factory=dict)
    outputs: Mapping[int, str] = attrs.field(factory=dict)
    complaints: Mapping[int, str] = attrs.field(factory=dict)
    srun: Mapping[int, str] = attrs.field(factory=dict)
    done: Done | None = None
    slurm: SlurmState | None = None
    waited: timedelta = timedelta(0)

    @property
    def complete(self) -> bool:
        """True where the records tell the end without Slurm: all there, and srun's words too if one tells a failure."""
        if len(self.exits) < self.ranks:
            return False
        if self.done is None:
            return all(record.code == 0 and not record.cause for record in self.exits.values())
        return self.done.reason == "ended"

    def settled(self, now: datetime) -> bool:
        """True once records that are still missing will not come."""
        if self.complete or (self.done is not None and self.done.reason in ("cancelled", "expired")):
            return True
        if self.done is None or self.done.reason == "signalled":
            ended = self.slurm is not None and self.slurm.ended
            return ended and (self.slurm_failure is not None or self.waited > SETTLE)
        explained = all(rank in self.exits or rank in self.srun for rank in range(self.ranks))
        return explained or (self.done.ended is not None and now - self.done.ended > SETTLE)

    @property
    def slurm_failure(self) -> FailureClass | None:
        """The class that Slurm's state proves."""
        return self.slurm.failure if self.slurm else None


def judge(evidence: Evidence, native_id: str, now: datetime) -> JobStatus:
    """Return the status that *evidence* proves."""
    if not evidence.settled(now):
        return _live(evidence, native_id)
    ranks = tuple(_ended_rank(evidence, rank) for rank in range(evidence.ranks))
    state = _ended_state(evidence, ranks)
    return JobStatus(state, ranks, _failure(evidence), _reason(evidence), native_id)


def _live(evidence: Evidence, native_id: str) -> JobStatus:
    ranks = tuple(_live_rank(evidence, rank) for rank in range(evidence.ranks))
    state = job_state(ranks, evidence.ranks)
    slurm = evidence.slurm
    if state.ended:
        state = JobState.RUNNING
    if slurm is None or not slurm.waits:
        return JobStatus(state, ranks, native_id=native_id)
    return JobStatus(state, ranks, slurm.failure, slurm.words(), native_id)


def _live_rank(evidence: Evidence, rank: int) -> RankStatus:
    if rank in evidence.exits:
        return _recorded(evidence, rank)
    began = evidence.began.get(rank)
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
        return _CAUSES[record.cause]
    if record.code == 137 and evidence.srun.get(rank) == "Out Of Memory":
        return FailureClass.OOM
    return None


def _unrecorded(evidence: Evidence, rank: int) -> RankStatus:
    """Return the status of a rank that was ended so hard that it left no record, or that never began."""
    words = evidence.srun.get(rank, "")
    code = _code(words)
    cancelled = evidence.slurm_failure is FailureClass.CANCELLED
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
    if evidence.slurm_failure is FailureClass.CANCELLED:
        return JobState.CANCELLED
    state = job_state(ranks, evidence.ranks)
    # Ranks that said 0 to a TERM of Slurm's have not done what they were to do.
    return JobState.FAILED if state is JobState.SUCCEEDED and evidence.slurm_failure else state


def _failure(evidence: Evidence) -> FailureClass | None:
    if evidence.complete:
        return None
    reason = evidence.done.reason if evidence.done else ""
    if reason in _NOTHING_RAN:
        return _NOTHING_RAN[reason]
    if evidence.slurm_failure is not None or reason == "ended":
        return evidence.slurm_failure
    return FailureClass.UNKNOWN if evidence.exits or evidence.began else FailureClass.NEVER_STARTED


def _reason(evidence: Evidence) -> str:
    """Return who says what, where the exit records alone do not tell it all."""
    if evidence.complete:
        return ""
    if evidence.done is not None and evidence.done.reason == "cancelled":
        return "it was cancelled before it ran"
    missing = [str(rank) for rank in range(evidence.ranks) if rank not in evidence.exits]
    if evidence.done is not None and evidence.done.reason == "expired":
        return "it came to its turn after the end of its lifetime, and did not run"
    said = (
        evidence.slurm.words() if evidence.slurm else f"srun ended with {evidence.done.code if evidence.done else '?'}"
    )
    return f"{said}; no exit record from rank {', '.join(missing)}" if missing else said
