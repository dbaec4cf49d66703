"""What a pod's status proves about a rank. Pure.

The verdict comes from ``state.terminated`` of the container: the phase of a pod and the conditions of a Job come a second or two
later, and are wrong where a program that was told to go exits with 0, or ends in the moment of a deadline.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs

from container_executor.models import FailureClass, JobState, RankStatus
from container_executor_kube import names
from container_executor_kube.waiting import container_wait, placement_wait, start_failure

Thing = Mapping[str, Any]

DISRUPTIONS = {
    "PreemptionByScheduler": FailureClass.PREEMPTED,
    "DeletionByTaintManager": FailureClass.NODE_LOST,
    "DeletionByPodGC": FailureClass.NODE_LOST,
    "EvictionByEvictionAPI": FailureClass.EVICTED,
    "TerminationByKubelet": FailureClass.EVICTED,
}
"""Reasons of the condition ``DisruptionTarget`` (kubernetes.io, Disruptions, Pod disruption conditions)."""
DEADLINE = "DeadlineExceeded"
"""The reason of a pod, or a Job, whose time was over."""
_NOT_STARTED = ("StartError", "ContainerCannotRun", "RunContainerError", "CreateContainerError")
_LOST = "ContainerStatusUnknown"
"""The reason where a kubelet gives up a pod and finds no trace of a container, be it that there never was one."""


@attrs.frozen
class Cause:
    """What took a pod away: since when, the class, and the engine's words."""

    since: datetime | None
    failure: FailureClass
    words: str


def rank_status(pod: Thing, local: int, rank: int, *, gang: bool) -> RankStatus:
    """Return what is known of a rank.

    Args:
        pod: The pod that it is in.
        local: Which of the pod's ranks it is.
        rank: Its number among all.
        gang: Ranks of several pods must meet before they start.
    """
    container = container_of(pod, local)
    state = container.get("state") or {}
    known = RankStatus(
        rank, JobState.PENDING, node=str(pod["spec"].get("nodeName", "")), image_id=str(container.get("imageID", ""))
    )
    waits = gang and not released(pod)
    if (end := state.get("terminated")) and not _never_made(container, end):
        return _ended(known, pod, end, local, waits=waits)
    if lost := _lost_node(pod):
        return attrs.evolve(known, state=JobState.FAILED, failure=lost.failure, reason=lost.words)
    if pod["status"].get("phase") == "Failed":
        return _never_started(known, pod)
    if running := state.get("running"):
        live = JobState.HELD if waits else JobState.RUNNING
        return attrs.evolve(known, state=live, started=None if waits else time_of(running.get("startedAt")))
    wait = placement_wait(pod) or container_wait(state.get("waiting") or {})
    return attrs.evolve(known, reason=wait.words, failure=wait.failure) if wait else known


def container_of(pod: Thing, local: int) -> Thing:
    """Return the status of a rank's container, empty where the kubelet has not reported it."""
    found: list[Thing] = pod["status"].get("containerStatuses") or []
    return next((status for status in found if status["name"] == names.container_name(local)), {})


def released(pod: Thing) -> bool:
    """Tell whether the ranks of a pod may start."""
    return bool(names.annotations(pod).get(names.RELEASE))


def time_of(text: object) -> datetime | None:
    """Return a time of Kubernetes, None where there is none; a container that never started says 1970."""
    if not isinstance(text, str) or text.startswith("1970-"):
        return None
    return datetime.fromisoformat(text).astimezone(UTC)


def _never_made(container: Thing, end: Thing) -> bool:
    """Tell whether a pod was ended before its container was made, as while its image was pulled.

    One that the kubelet has seen running has an id, or a note of that in its last state (kubernetes source, pkg/kubelet,
    ``TerminatePod`` and ``convertToAPIContainerStatuses``).
    """
    seen = container.get("containerID") or (container.get("lastState") or {}).get("terminated")
    return end.get("reason") == _LOST and not seen


def _ended(known: RankStatus, pod: Thing, end: Thing, local: int, *, waits: bool) -> RankStatus:
    reason, message = str(end.get("reason", "")), str(end.get("message", ""))
    if reason in _NOT_STARTED:
        wait = start_failure(f"{reason}: {message}")
        return attrs.evolve(known, state=JobState.FAILED, failure=wait.failure, reason=wait.words)
    if reason == _LOST:
        words = f"{reason}: {message}"
        return attrs.evolve(known, state=JobState.FAILED, failure=FailureClass.NODE_LOST, reason=words)
    if waits or _too_late(pod, end):
        words = "it ended before its program was started" if waits else "its time was over before it could start"
        return attrs.evolve(known, state=JobState.FAILED, failure=FailureClass.NEVER_STARTED, reason=words)
    code = int(end["exitCode"])
    status = attrs.evolve(
        known,
        state=JobState.SUCCEEDED if code == 0 else JobState.FAILED,
        exit_code=code,
        started=time_of(end.get("startedAt")),
        ended=time_of(end.get("finishedAt")),
        output=message if local == 0 and known.rank == 0 else None,
    )
    return _with_cause(status, pod, oom=reason == "OOMKilled")


def _with_cause(status: RankStatus, pod: Thing, *, oom: bool) -> RankStatus:
    """Add why it ended, where that was not the program's own doing."""
    cause = cause_of(pod)
    if cause is not None and not _before(status.ended, cause.since):
        return attrs.evolve(status, state=JobState.FAILED, failure=cause.failure, reason=cause.words)
    if _stopped_at_its_end(pod, status.ended):
        words = f"{DEADLINE}: {pod['status'].get('message', '')}"
        return attrs.evolve(status, state=JobState.FAILED, failure=FailureClass.LEASE_EXPIRED, reason=words)
    if oom and status.exit_code != 0:  # any process of it may have been hit; one that ends with 0 has coped
        words = "OOMKilled: the kernel killed a process of it for want of memory"
        return attrs.evolve(status, failure=FailureClass.OOM, reason=words)
    return status


def _stopped_at_its_end(pod: Thing, ended: datetime | None) -> bool:
    """Tell whether the kubelet stopped a container because its pod's time was over; one that had ended before was not."""
    started, seconds = time_of(pod["status"].get("startTime")), pod["spec"].get("activeDeadlineSeconds")
    if pod["status"].get("reason") != DEADLINE or ended is None or started is None or seconds is None:
        return False
    return ended >= started + timedelta(seconds=int(seconds))


def cause_of(pod: Thing) -> Cause | None:
    """Return what took a pod away, None where nobody did. Its own deadline is none: see :func:`_stopped_at_its_end`."""
    for condition in pod["status"].get("conditions") or ():
        if condition["type"] == "DisruptionTarget" and condition["status"] == "True":
            reason = str(condition.get("reason", ""))
            failure = DISRUPTIONS.get(reason, FailureClass.EVICTED)
            words = f"{reason}: {condition.get('message', '')}"
            return Cause(time_of(condition.get("lastTransitionTime")), failure, words)
    if pod["status"].get("reason") == "Evicted":
        return Cause(None, FailureClass.EVICTED, f"Evicted: {pod['status'].get('message', '')}")
    going = time_of(pod["metadata"].get("deletionTimestamp"))
    if going is None or pod["status"].get("reason") == DEADLINE:
        return None
    asked = going - timedelta(seconds=int(pod["metadata"].get("deletionGracePeriodSeconds") or 0))
    return Cause(asked, FailureClass.VANISHED, "somebody deleted its pod")


def _before(ended: datetime | None, since: datetime | None) -> bool:
    return ended is not None and since is not None and ended < since


def _lost_node(pod: Thing) -> Cause | None:
    """Return the loss of the node of a pod that is to go but stays: nobody is there who could end it."""
    cause = cause_of(pod)
    gone = cause is not None and cause.failure is FailureClass.NODE_LOST and "deletionTimestamp" in pod["metadata"]
    return cause if gone else None


def _never_started(known: RankStatus, pod: Thing) -> RankStatus:
    words = ": ".join(str(pod["status"][key]) for key in ("reason", "message") if pod["status"].get(key))
    words, failure = words or "its pod failed before it started", FailureClass.NEVER_STARTED
    if cause := cause_of(pod):
        words, failure = cause.words, cause.failure
    return attrs.evolve(known, state=JobState.FAILED, failure=failure, reason=words)


def _too_late(pod: Thing, end: Thing) -> bool:
    """Tell whether a container began after the end of its job: then it started no program."""
    limit, started = names.annotations(pod).get(names.END), time_of(end.get("startedAt"))
    return limit is not None and started is not None and started.timestamp() >= int(limit)
