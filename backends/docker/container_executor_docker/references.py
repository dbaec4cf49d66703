"""References of images: their parts, and the one that always means the same image. Pure."""

from collections.abc import Mapping
from typing import Any

_HUB = ("docker.io/library/", "index.docker.io/library/", "docker.io/", "index.docker.io/")
"""What the docker command leaves out of a name (github.com/distribution/reference, familiar names)."""


def split(image: str) -> tuple[str, str]:
    """Return the repository, and the tag or digest; the tag is ``latest`` where there is none."""
    name, _, digest = image.partition("@")
    repository, colon, tag = name.rpartition(":")
    if not colon or "/" in tag:
        repository, tag = name, ""
    return repository, digest or tag or "latest"


def familiar(repository: str) -> str:
    """Return a repository as Docker lists it: ``docker.io/library/busybox`` is ``busybox``."""
    for prefix in _HUB:
        if repository.startswith(prefix):
            return repository.removeprefix(prefix)
    return repository


def pinned_reference(image: str, found: Mapping[str, Any]) -> str:
    """Return the reference of an inspected image that does not move: by digest where a registry gave it one, else by id."""
    repository, _ = split(image)
    for digest in found.get("RepoDigests") or ():
        if str(digest).partition("@")[0] == familiar(repository):
            return str(digest)
    return str(found["Id"])
