"""Why a pod waits: what Kubernetes says, and the failure class that its words prove. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from container_executor.models import FailureClass


@attrs.frozen
class Wait:
    """Why something has not started: the engine's words and what they prove, if anything."""

    words: str = ""
    failure: FailureClass | None = None


_IMAGE = {"ErrImagePull", "ImagePullBackOff"}
_BY_REASON = {
    "ErrImageNeverPull": FailureClass.IMAGE_NOT_FOUND,
    "InvalidImageName": FailureClass.INVALID_SPEC,
    "ImageInspectError": FailureClass.IMAGE_TRANSIENT,
    "RegistryUnavailable": FailureClass.IMAGE_TRANSIENT,
    "CreateContainerConfigError": FailureClass.NEVER_STARTED,
    "CreateContainerError": FailureClass.NEVER_STARTED,
    "RunContainerError": FailureClass.NEVER_STARTED,
}
"""Reasons of ``state.waiting`` (kubernetes source, pkg/kubelet/images/types.go and kuberuntime)."""

_REFUSED = ("401", "403 forbidden", "unauthorized", "authorization failed", "access denied", "authentication required")
_ABSENT = ("not found", "manifest unknown", "name unknown")
_NO_SHELL = ('exec: "sh"', "exec /bin/sh")


def container_wait(state: Mapping[str, Any]) -> Wait | None:
    """Return why a container waits, from its ``state.waiting``; None where it is merely on its way."""
    reason, message = str(state.get("reason", "")), str(state.get("message", ""))
    words = f"{reason}: {message}" if message else reason
    if reason in _IMAGE:
        return Wait(words, image_failure(message))
    if reason in _BY_REASON:
        return Wait(words, _BY_REASON[reason])
    return None


def image_failure(message: str) -> FailureClass:
    """Return what containerd's or CRI-O's words about a pull prove. Refused comes first: registries hide what one may not see."""
    low = message.lower()
    if any(part in low for part in _REFUSED):
        return FailureClass.IMAGE_AUTH
    if any(part in low for part in _ABSENT):
        return FailureClass.IMAGE_NOT_FOUND
    return FailureClass.IMAGE_TRANSIENT


def placement_wait(pod: Mapping[str, Any]) -> Wait | None:
    """Return why a pod has no node, None where it has one or nobody has looked yet."""
    for condition in pod["status"].get("conditions") or ():
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            words = f"{condition.get('reason', '')}: {condition.get('message', '')}"
            return Wait(words, FailureClass.UNSCHEDULABLE)
    return None


def event_wait(events: Sequence[Mapping[str, Any]]) -> Wait:
    """Return what the latest warning about a pod or Job says: volumes and quotas show nowhere else."""
    if not events:
        return Wait()
    last = max(events, key=_when)
    words = f"{last.get('reason', '')}: {last.get('message', '')}"
    low = words.lower()
    if "quota" in low or "per container is" in low or "per pod is" in low:
        return Wait(words, FailureClass.QUOTA)
    if "pull image" in low:
        return Wait(words, image_failure(words))
    return start_failure(words)


def start_failure(words: str) -> Wait:
    """Return why a container could not be started, from the words of its runtime."""
    if any(part in words for part in _NO_SHELL):
        return Wait(f"the image has no sh, which every job starts under: {words}", FailureClass.INVALID_SPEC)
    return Wait(words, FailureClass.NEVER_STARTED)


def _when(event: Mapping[str, Any]) -> str:
    """Return when an event was seen last; the scheduler's have another field."""
    times = (event.get("lastTimestamp"), event.get("eventTime"), event["metadata"].get("creationTimestamp"))
    return next((str(time)[:19] for time in times if time), "")
