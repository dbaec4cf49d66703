"""What Docker says of containers, as evidence: inspect answers in, rank statuses out. Pure."""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any

import attrs

from container_executor.models import FailureClass, JobState, JobStatus, RankStatus, job_state
from container_executor_docker.errors import class_of
from container_executor_docker.guard import END_BOOT
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


UNKNOWN_CODE = 255
"""What dockerd records for a container that it finds dead at its start, as it has no record of the end."""


@attrs.frozen
class Boot:
    """The engine's machine since it was last started: its id, and when that was in seconds since 1970."""

    id: str
    since: float


def job_status(
    containers: Collection[Inspected],
    ranks: int,
    *,
    refused: bool = False,
    boot: Boot | None = None,
    oom: Collection[int] = (),
) -> JobStatus:
    """Return the status of a job from the inspect answers of its containers.

    Args:
        containers: Those that Docker has, in any order.
        ranks: How many there should be.
        refused: The job was cancelled before its containers were started, and they never will be.
        boot: The present boot of the engine's machine, where that is this one.
        oom: Ranks that noted that a process of theirs was killed for want of memory.
    """
    statuses = sorted((rank_status(container, boot, oom) for container in containers), key=lambda status: status.rank)
    broken = next((status for status in statuses if status.failure and status.started is None), None)
    if broken is not None:
        statuses = [_never(status, f"rank {broken.rank} could not be started") for status in statuses]
    elif refused:
        statuses = [_refused(status) for status in statuses]
    elif 0 < len(statuses) < ranks and any(status.state is not JobState.PENDING for status in statuses):
        statuses += [_lost(rank) for rank in range(ranks) if rank not in {status.rank for status in statuses}]
        statuses.sort(key=lambda status: status.rank)
    return JobStatus(job_state(statuses, ranks), tuple(statuses), native_id=native_id([c["Id"] for c in containers]))


def is_over(container: Inspected) -> bool:
    """Tell whether the program of a container has ended."""
    return STATES.get(container["State"]["Status"], JobState.RUNNING).ended


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


def rank_status(container: Inspected, boot: Boot | None, oom: Collection[int]) -> RankStatus:
    """Return the status of one rank."""
    state, own = container["State"], container["Config"]["Labels"]
    where = STATES.get(state["Status"], JobState.RUNNING)
    rank = int(own[RANK])
    if where is JobState.PENDING:
        return _not_started(rank, container)
    status = RankStatus(rank, where, image_id=container["Image"], started=_time(state["StartedAt"]))
    if where is not JobState.FAILED:
        return status
    ended = _ended(status, state, oom=bool(state.get("OOMKilled")) or rank in oom)
    return _lost_with_the_machine(ended) if boot is not None and _outlived(ended, own, boot) else ended


def _outlived(status: RankStatus, labels: Mapping[str, str], boot: Boot) -> bool:
    """Return whether a container of an earlier boot was only found dead in this one."""
    earlier = labels.get(END_BOOT, boot.id).partition(" ")[0] != boot.id
    return (
        earlier
        and status.exit_code == UNKNOWN_CODE
        and status.ended is not None
        and status.ended.timestamp() >= boot.since
    )


def _lost_with_the_machine(status: RankStatus) -> RankStatus:
    words = "the machine was restarted while it ran"
    return attrs.evolve(status, exit_code=None, failure=FailureClass.NODE_LOST, reason=words)


def _not_started(rank: int, container: Inspected) -> RankStatus:
    words = str(container["State"].get("Error") or "")
    if not words:
        return RankStatus(rank, JobState.PENDING, image_id=container["Image"])
    failure = FailureClass(class_of(words) or FailureClass.NEVER_STARTED)
    if failure is FailureClass.INVALID_SPEC:
        words = f"the image has no sh, which every job starts under: {words}"
    return RankStatus(rank, JobState.FAILED, image_id=container["Image"], failure=failure, reason=words)


def _ended(status: RankStatus, state: Mapping[str, Any], *, oom: bool) -> RankStatus:
    code = int(state["ExitCode"])
    ended = attrs.evolve(status, exit_code=code, ended=_time(state["FinishedAt"]), reason=str(state.get("Error") or ""))
    if oom:  # also where the program went on and ended with 0: what its child should have done is missing
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
