"""Image references: what a spec may name, and what Apptainer calls it. Pure."""

import os
import re
from pathlib import Path

import attrs

from container_executor.errors import Problem, UnsupportedError

FIELD = "kwargs.docker-image"

_REGISTRY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]*")
_ARCHIVES = ("docker-archive", "oci-archive", "oci")


@attrs.frozen
class Reference:
    """An image as Apptainer names it.

    Attributes:
        uri: What ``apptainer build`` and ``exec`` take.
        path: The file or folder that it names on this site, None for an image of a registry.
        ready: It runs as it is.
    """

    uri: str
    path: Path | None = None
    ready: bool = False

    @property
    def registry(self) -> str:
        """The registry as ``host:port``, "" for a file."""
        return "" if self.path else self.uri.removeprefix("docker://").partition("/")[0]


def parse(text: str, roots: tuple[Path, ...]) -> Reference:
    """Return what the reference *text* names; paths must be below *roots*.

    Raises:
        UnsupportedError: It names a source that this backend does not take, or a path that the site does not allow.
    """
    text = text.strip()
    kind, _, rest = text.partition(":")
    if text.startswith("/"):
        return Reference(text, _allowed(Path(text), roots), ready=True)
    if kind in _ARCHIVES and rest.startswith("/"):
        return Reference(text, _allowed(Path(_without_tag(kind, rest)), roots))
    name = text.removeprefix("docker://")
    if "://" in name or not _REGISTRY.fullmatch(name):
        raise UnsupportedError(
            Problem(
                FIELD,
                f"{text[:80]!r} is no image of a registry, no file and no archive; write busybox:1.36 or docker://...",
            )
        )
    return Reference(f"docker://{name}")


def _without_tag(kind: str, rest: str) -> str:
    return rest if kind == "oci" or ":" not in rest else rest.rpartition(":")[0]


def _allowed(path: Path, roots: tuple[Path, ...]) -> Path:
    plain = Path(os.path.normpath(path))
    if any(plain.is_relative_to(root) for root in roots):
        return plain
    known = ", ".join(str(root) for root in roots) or "nothing"
    raise UnsupportedError(
        Problem(FIELD, f"{path} is not below image_roots ({known}); name an image of a registry or ask the site")
    )
