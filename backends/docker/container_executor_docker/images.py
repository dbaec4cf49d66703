"""Gets an image ready: pulled as the policy says, its progress told, its digest pinned."""

import enum
from collections.abc import Callable, Mapping
from threading import Event
from typing import Any

import docker.errors
from docker.utils import parse_repository_tag

from container_executor.errors import RejectedError, UnavailableError
from container_executor.models import FailureClass, Progress
from container_executor_docker.errors import class_of

_AWAY = (
    "timeout",
    "connection refused",
    "connection reset",
    "no route to host",
    "temporary failure",
    "lookup",
    "eof",
    "50",
)


class Pull(enum.StrEnum):
    """When an image is pulled."""

    ALWAYS = "always"
    MISSING = "missing"
    NEVER = "never"


def pinned(api: Any, image: str) -> str | None:
    """Return the reference by which Docker finds the image that *image* is now: by digest, else by id; None if it is not there."""
    try:
        found = api.inspect_image(image)
    except docker.errors.ImageNotFound:
        return None
    repository = parse_repository_tag(image.partition("@")[0])[0]
    digests = [digest for digest in found.get("RepoDigests") or () if digest.partition("@")[0] == repository]
    return str(digests[0] if digests else found["Id"])


def pull(api: Any, image: str, report: Callable[[Progress], None], stop: Event) -> None:
    """Pull an image; its progress is the bytes of all layers.

    Raises:
        RejectedError: There is none, or no permission.
        UnavailableError: The registry did not answer.
    """
    reference, _, digest = image.partition("@")
    repository, tag = parse_repository_tag(reference)
    steps = api.pull(repository, tag=digest or tag or "latest", stream=True, decode=True)
    report(Progress(f"pulling {image}"))
    layers: dict[str, tuple[int, int]] = {}
    for step in steps:
        if stop.is_set():
            steps.close()
            raise UnavailableError(f"pull of {image} was stopped")
        _raise(image, step)
        _count(step, layers)
        done, total = (sum(layer[part] for layer in layers.values()) for part in (0, 1))
        if total:
            report(Progress(f"pulling {image}:", done, total))
    report(Progress(f"pulled {image}"))


def _count(step: Mapping[str, Any], layers: dict[str, tuple[int, int]]) -> None:
    detail = step.get("progressDetail") or {}
    if step.get("status") == "Downloading" and detail.get("total"):
        layers[str(step.get("id"))] = (int(detail.get("current", 0)), int(detail["total"]))


def _raise(image: str, step: Mapping[str, Any]) -> None:
    """Raise the error that a step of a pull carries: the call itself has answered 200 long before."""
    words = str(step.get("error") or "")
    if not words:
        return
    failure = class_of(words)
    if failure in ("", FailureClass.IMAGE_TRANSIENT.value) and _is_away(words):
        raise UnavailableError(f"pull of {image}: {words}", failure=FailureClass.IMAGE_TRANSIENT.value)
    raise RejectedError(f"pull of {image}: {words}", failure=failure or FailureClass.IMAGE_NOT_FOUND.value)


def _is_away(words: str) -> bool:
    return any(part in words.lower() for part in _AWAY) or "toomanyrequests" in words.lower()
