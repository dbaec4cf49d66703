"""The directories that a spec names, in one form, and where a job sees them. Pure."""

from collections.abc import Sequence
from pathlib import Path

import attrs

from container_executor.cfs import PathError, normal_label
from container_executor.errors import Problem, SpecError
from container_executor.funcspec.model import DirSync, Filesystem, SnapshotMount
from container_executor.models import Mount


@attrs.frozen
class Entry:
    """A directory of a spec.

    Attributes:
        parts: The way to it below the site's directory.
        label: The label that its files belong to, in its one form.
        keeps: It stays on the site after the job.
        snapshot: Id of the snapshot that fills it; "" where the label does.
        keepsnapshot: The snapshot stays on the server.
        keeplocal_on_start: Before the job, a file that differs is uploaded; otherwise it is replaced.
        keeplocal_on_close: After the job, likewise.
        without: Paths below it that other entries are about.
    """

    parts: tuple[str, ...]
    label: str
    keeps: bool
    snapshot: str = ""
    keepsnapshot: bool = False
    keeplocal_on_start: bool = False
    keeplocal_on_close: bool = False
    without: frozenset[str] = frozenset()

    @property
    def path(self) -> str:
        """The directory as a spec names it."""
        return "/" + "/".join(self.parts)

    @property
    def content(self) -> str:
        """What fills it: processes can share a directory that the same fills."""
        return f"snapshot {self.snapshot}" if self.snapshot else self.label


def entries_of(fs: Filesystem) -> tuple[Entry, ...]:
    """Return the directories of a spec, those that lie in others after them.

    Raises:
        SpecError: One leads out of the site's directory, or has no label that a server could keep.
    """
    entries = [_snapshot(entry, f"fs.snapshots[{i}]") for i, entry in enumerate(fs.snapshots)]
    entries += [_synced(entry, f"fs.dirs[{i}]") for i, entry in enumerate(fs.dirs)]
    unique = {entry.parts: entry for entry in entries}
    ordered = sorted(unique.values(), key=lambda entry: entry.parts)
    return tuple(attrs.evolve(entry, without=_inside(entry, ordered)) for entry in ordered)


def _synced(entry: DirSync, path: str) -> Entry:
    return Entry(
        parts=_parts(entry.dir, path),
        label=_label(entry.label, path),
        keeps=entry.keepfiles,
        keeplocal_on_start=entry.keeplocal_on_start,
        keeplocal_on_close=entry.keeplocal_on_close,
    )


def _snapshot(entry: SnapshotMount, path: str) -> Entry:
    return Entry(
        parts=_parts(entry.dir, path),
        label=_label(entry.label, path),
        keeps=entry.keepfiles or entry.keepsnapshot,
        snapshot=entry.snapshot_id,
        keepsnapshot=entry.keepsnapshot,
    )


def _parts(text: str, path: str) -> tuple[str, ...]:
    parts = tuple(part for part in text.split("/") if part not in ("", "."))
    if not parts or ".." in parts or "\0" in text:
        raise SpecError(
            Problem(f"{path}.dir", f"{text!r} is no path below mount; expected one without .., such as /in")
        )
    if any(len(part.encode()) > 255 for part in parts):
        raise SpecError(Problem(f"{path}.dir", "has a part of more than 255 bytes, which no directory can be called"))
    return parts


def _label(text: str, path: str) -> str:
    try:
        return normal_label(text)
    except PathError as error:
        raise SpecError(Problem(f"{path}.label", str(error))) from None


def _inside(outer: Entry, entries: Sequence[Entry]) -> frozenset[str]:
    depth = len(outer.parts)
    return frozenset(
        "/".join(entry.parts[depth:])
        for entry in entries
        if len(entry.parts) > depth and entry.parts[:depth] == outer.parts
    )


def mounts_of(base: Path, mount: str, entries: Sequence[Entry]) -> tuple[Mount, ...]:
    """Return where the job sees each directory that lies in no other; the rest is seen through them."""
    top = "/" + "/".join(part for part in mount.split("/") if part not in ("", "."))
    outermost = [
        entry
        for entry in entries
        if not any(entry is not other and entry.parts[: len(other.parts)] == other.parts for other in entries)
    ]
    return tuple(Mount(str(base.joinpath(*entry.parts)), top.rstrip("/") + entry.path) for entry in outermost)
