"""Names of images: what a user may write, and what it means in full.

The grammar is that of the distribution project (github.com/distribution/reference): ``[registry[:port]/]path[:tag][@digest]``.
"""

import posixpath
import re
from collections.abc import Sequence
from fnmatch import fnmatchcase

from container_executor.funcspec.report import shown

DOCKER_SCHEME = "docker://"
"""What Apptainer's users write before a reference; it says nothing more."""

DEFAULT_REGISTRY = "docker.io"

_LONGEST = 512
_EXAMPLES = "lower case, as in busybox, ubuntu:24.04 or ghcr.io/user/image:tag"
_REGISTRY = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?")
_PART = r"[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(
    rf"(?P<path>{_PART}(?:/{_PART})*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?"
    r"(?:@(?P<digest>[a-z0-9]+(?:[+._-][a-z0-9]+)*:[0-9a-fA-F]{32,}))?",
)


def check_reference(image: str) -> None:
    """Do nothing for a text that names an image: a reference, or an absolute path.

    Raises:
        ValueError: It names none; the message says what is expected.
    """
    if not image.startswith("/"):
        full_reference(image)
    elif not image.isprintable():
        raise ValueError("has control characters; expected the path of an image file")


def full_reference(image: str) -> str:
    """Return a reference with registry and tag or digest: ``busybox`` is ``docker.io/library/busybox:latest``.

    Raises:
        ValueError: It is no reference; the message says what is expected.
    """
    first, slash, rest = image.partition("/")
    registry, path = (first, rest) if slash and _is_host(first) else ("", image)
    match = _REPOSITORY.fullmatch(path) if len(image) <= _LONGEST else None
    if match is None or (registry and not _REGISTRY.fullmatch(registry)):
        raise ValueError(f"{shown(image)} is no reference of an image; expected {_EXAMPLES}")
    if not registry and "/" not in match["path"]:
        registry = f"{DEFAULT_REGISTRY}/library"
    version = f"@{match['digest']}" if match["digest"] else f":{match['tag'] or 'latest'}"
    return f"{registry or DEFAULT_REGISTRY}/{match['path']}{version}"


def check_image(image: str, *, allowed: Sequence[str], roots: Sequence[str]) -> None:
    """Do nothing for an image that may be used.

    Args:
        image: A reference, or the absolute path of an image file.
        allowed: Shell patterns, one of which must match the full reference; empty allows all.
        roots: Directories below which image files may lie.

    Raises:
        ValueError: It may not be used; the message says why.
    """
    if image.startswith("/"):
        _check_file(image, roots)
        return
    full = full_reference(image)
    if allowed and not any(fnmatchcase(full, pattern) for pattern in allowed):
        raise ValueError(f"{full} is not allowed at this site; allowed are {', '.join(allowed)}")


def _check_file(image: str, roots: Sequence[str]) -> None:
    path = posixpath.normpath(image)
    if not any(path.startswith(posixpath.normpath(root).rstrip("/") + "/") for root in roots):
        places = ", ".join(roots) or "nowhere"
        raise ValueError(f"is a file of the site; this site allows image files below: {places}")


def _is_host(text: str) -> bool:
    return "." in text or ":" in text or text == "localhost"
