"""What Docker says of containers, as evidence: inspect answers in, rank statuses out. Pure."""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any

import attrs

from container_executor.models import FailureClass, JobState, JobStatus, RankStatus, job_state
from container_executor_docker.errors import class_of
from container_executor_docker.labels import RANK, native_id

Inspected = Mapping[str, Any]

STATES = {
    "created": JobState.PENDING,
    "configured": JobState.PENDING,
    "initialized": JobState.PENDING,
    "running": JobState.RUNNING,
    "paused": JobState.RUNNING,
    "restarting": JobState.RUNNING,
    "removing": JobState.RUNNING,
    "exited": JobState.FAILED,
    "stopped": JobState.RUNNING,
    "dead": JobState.FAILED,
}
"""Every word of ``State.Status`` (docs.docker.com, Engine API v1.41, ContainerInspect; docs.podman.io for four more). An ended
container has succeeded with 0 only; a word that is not here is no end."""


def job_status(containers: Collection[Inspected], ranks: int, *, refused: bool = False) -> JobStatus:
    """Return the status of a job from the inspect answers of its containers.

    Args:
        containers: Those that Docker has, in any order.
        ranks: How many there should be.
        refused: The job was cancelled before its containers were started, and they never will be.
    """
    statuses = sorted((rank_status(container) for container in containers), key=lambda status: status.rank)
    broken = next((status for status in statuses if status.failure and status.started is None), None)
    if broken is not None:
        statuses = [_never(status, f"rank {broken.rank} could not be started") for status in statuses]
    elif refused:
        statuses = [_refused(status) for status in statuses]
    elif 0 < len(statuses) < ranks and any(status.state is not JobState.PENDING for status in statuses):
        statuses += [_lost(rank) for rank in range(ranks) if rank not in {status.rank for status in statuses}]
        statuses.sort(key=lambda status: status.rank)
    return JobStatus(job_state(statuses, ranks), tuple(statuses), native_id=native_id([c["Id"] for c in containers]))


def started(container: Inspected, *, refused: bool) -> bool | None:
    """Return whether a program runs (True), has ended or never will run (False), or has not begun (None)."""
    where = STATES.get(container["State"]["Status"], JobState.RUNNING)
    if where is JobState.PENDING:
        return False if refused or container["State"].get("Error") else None
    return not where.ended


def with_output(status: JobStatus, text: str | None) -> JobStatus:
    """Return the status with what rank 0 left as its output."""
    ranks = tuple(attrs.evolve(rank, output=text) if rank.rank == 0 else rank for rank in status.ranks)
    return attrs.evolve(status, ranks=ranks)


def rank_status(container: Inspected) -> RankStatus:
    """Return the status of one rank."""
    state, own = container["State"], container["Config"]["Labels"]
    where = STATES.get(state["Status"], JobState.RUNNING)
    rank = int(own[RANK])
    if where is JobState.PENDING:
        return _not_started(rank, container)
    status = RankStatus(rank, where, image_id=container["Image"], started=_time(state["StartedAt"]))
    return _ended(status, state) if where is JobState.FAILED else status


def _not_started(rank: int, container: Inspected) -> RankStatus:
    words = str(container["State"].get("Error") or "")
    if not words:
        return RankStatus(rank, JobState.PENDING, image_id=container["Image"])
    failure = FailureClass(class_of(words) or FailureClass.NEVER_STARTED)
    if failure is FailureClass.INVALID_SPEC:
        words = f"the image has no sh, which every job starts under: {words}"
    return RankStatus(rank, JobState.FAILED, image_id=container["Image"], failure=failure, reason=words)


def _ended(status: RankStatus, state: Mapping[str, Any]) -> RankStatus:
    code = int(state["ExitCode"])
    ended = attrs.evolve(status, exit_code=code, ended=_time(state["FinishedAt"]), reason=str(state.get("Error") or ""))
    if state.get(
        "OOMKilled"
    ):  # also where the program went on and ended with 0: what its child should have done is missing
        words = "the kernel killed a process of it for want of memory"
        return attrs.evolve(ended, state=JobState.FAILED, failure=FailureClass.OOM, reason=words)
    return attrs.evolve(ended, state=JobState.SUCCEEDED if code == 0 else JobState.FAILED)


def _never(status: RankStatus, why: str) -> RankStatus:
    if status.state is not JobState.PENDING:
        return status
    return attrs.evolve(status, state=JobState.FAILED, failure=FailureClass.NEVER_STARTED, reason=why)


def _refused(status: RankStatus) -> RankStatus:
    return attrs.evolve(status, state=JobState.CANCELLED) if status.state is JobState.PENDING else status


def _lost(rank: int) -> RankStatus:
    words = "somebody removed its container from Docker"
    return RankStatus(rank, JobState.FAILED, failure=FailureClass.VANISHED, reason=words)


def _time(text: str) -> datetime | None:
    """Parse Docker's times: nanoseconds, cut to microseconds; year 1 where there is none."""
    if text.startswith("0001-"):
        return None
    whole, _, fraction = text.rstrip("Z").partition(".")
    return datetime.fromisoformat(f"{whole}.{fraction[:6]:0<6}").replace(tzinfo=UTC)
