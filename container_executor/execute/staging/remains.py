"""Finds, and removes for good, what processes have left in directories of the site that was stored nowhere.

A directory without ``keepfiles`` is emptied by its last process, except for files that exist nowhere else: results that could not
be stored, or that a cancelled process left. Only an operator can decide that nobody wants them.
"""

import os
from collections.abc import Collection, Iterator
from contextlib import suppress

import attrs

from container_executor.cfs import CfsError, Tree
from container_executor.cfs.scan import scan
from container_executor.execute.journal import Journal
from container_executor.execute.staging.kept import Kept, Register


@attrs.frozen
class Remains:
    """A directory with files that no process needs any more and that may exist nowhere else.

    Attributes:
        path: Where it is.
        label: The label that its files belong to.
        files: How many there are.
        size: Bytes of all of them.
    """

    path: str
    label: str
    files: int
    size: int
    kept: Kept = attrs.field(repr=False)


def find_remains(base: Tree, register: Register, journal: Journal) -> list[Remains]:
    """Return the directories that nobody asked to keep and that no process of the journal has."""
    used = {mount.source for record in journal.open_records() if record.job for mount in record.job.mounts}
    return list(_remains(base, [kept for kept in register.all() if not kept.keep], used))


def _remains(base: Tree, candidates: Collection[Kept], used: Collection[str]) -> Iterator[Remains]:
    for kept in candidates:
        tree = attrs.evolve(base, parts=kept.parts)
        if any(str(tree.path) == path or str(tree.path).startswith(f"{path}/") for path in used):
            continue
        with suppress(CfsError):
            files = scan(tree).files.values()
            yield Remains(str(tree.path), kept.label, len(files), sum(file.size for file in files), kept)


def discard(base: Tree, register: Register, remains: Remains) -> None:
    """Remove a directory with all that is in it; no link is followed. What cannot be removed stays.

    Raises:
        CfsError: It cannot be read.
    """
    tree = attrs.evolve(base, parts=remains.kept.parts)
    listing = scan(tree)
    for path in (*listing.files, *listing.unfinished, *(odd.path for odd in listing.oddities)):
        *below, name = path.split("/")
        with suppress(OSError), tree.opened(below) as directory:
            os.unlink(name, dir_fd=directory)
    for path in (*reversed(listing.directories), ""):
        *above, name = (*tree.parts, *filter(None, path.split("/")))
        with suppress(OSError), base.opened(above) as directory:
            os.rmdir(name, dir_fd=directory)
    if not tree.path.exists():
        register.forget(remains.kept.parts)
