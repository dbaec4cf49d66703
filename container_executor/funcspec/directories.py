"""The directories of a spec: where the job sees them, and which cannot be had together."""

import posixpath
from collections.abc import Iterator

import attrs

from container_executor.funcspec.model import Filesystem

_ENGINES = ("/proc", "/sys", "/dev")
_UNFILLED = "{snapshotid}"


@attrs.frozen
class _Place:
    path: str  # in the spec
    dir: str
    label: str
    synced: bool
    parts: tuple[str, ...] = attrs.field(
        init=False, default=attrs.Factory(lambda place: _parts(place.dir), takes_self=True)
    )


def filesystem_contradictions(fs: Filesystem) -> Iterator[tuple[str, str]]:
    """Yield (JSON path, message) for everything that no site can do. ``{processid}`` has been replaced."""
    dirs = [_Place(f"fs.dirs[{i}]", entry.dir, entry.label, synced=True) for i, entry in enumerate(fs.dirs)]
    snapshots = [
        _Place(f"fs.snapshots[{i}]", entry.dir, entry.label, synced=False) for i, entry in enumerate(fs.snapshots)
    ]
    yield from _mount_contradictions(fs.mount)
    for place in [*dirs, *snapshots]:
        yield from _place_contradictions(place, fs.mount)
    for i, snapshot in enumerate(fs.snapshots):
        if not snapshot.snapshot_id or snapshot.snapshot_id == _UNFILLED:
            yield f"fs.snapshots[{i}].snapshotid", "names no snapshot; make one of the label and write its id here"
    yield from _overlaps([*dirs, *snapshots])


def _mount_contradictions(mount: str) -> Iterator[tuple[str, str]]:
    if not mount:
        yield "fs.mount", "missing; expected the path at which the job sees the directories, such as /cfs"
    elif not mount.startswith("/") or ".." in mount.split("/"):
        yield "fs.mount", "expected an absolute path without .., such as /cfs"


def _place_contradictions(place: _Place, mount: str) -> Iterator[tuple[str, str]]:
    if place.synced and not place.label:
        yield f"{place.path}.label", "missing; expected a label of the file store, such as /in"
    target = posixpath.normpath(f"/{mount}/{place.dir}").replace("//", "/")
    if not place.dir:
        yield f"{place.path}.dir", "missing; expected a path below mount, such as /in"
    elif ".." in place.parts or not place.parts:
        yield f"{place.path}.dir", "expected a path below mount without .., such as /in"
    elif any(target == engine or target.startswith(engine + "/") for engine in _ENGINES):
        yield f"{place.path}.dir", f"{target} belongs to the container itself; choose another mount"


def _overlaps(places: list[_Place]) -> Iterator[tuple[str, str]]:
    """Compare each directory with those that it lies in: sorted, they are the ones still open."""
    above: list[_Place] = []
    for place in sorted(places, key=lambda place: place.parts):
        while above and place.parts[: len(above[-1].parts)] != above[-1].parts:
            above.pop()
        if above:
            yield from _overlap(above[-1], place)
        above.append(place)


def _overlap(outer: _Place, inner: _Place) -> Iterator[tuple[str, str]]:
    rest = inner.parts[len(outer.parts) :]
    if not (outer.synced and inner.synced):
        if not rest:
            yield f"{inner.path}.dir", f"is the directory of {outer.path} too"
        return
    expected = "/".join([outer.label.rstrip("/"), *rest])
    if inner.label != expected:
        yield f"{inner.path}.label", f"lies in {outer.path}, which makes its label {expected}"


def _parts(path: str) -> tuple[str, ...]:
    return tuple(part for part in path.split("/") if part not in {"", "."})
