"""Empties a directory that no job uses any more, of all but what exists nowhere else. Blocking."""

import os
import stat
from collections.abc import Collection, Sequence
from contextlib import suppress

import attrs

from container_executor.cfs.each import each, stopping
from container_executor.cfs.errors import CfsError
from container_executor.cfs.names import MARKER, PARTIAL
from container_executor.cfs.remote import Remote, label_of
from container_executor.cfs.scan import Listing, LocalFile, Stamp, scan
from container_executor.cfs.sync import Syncer
from container_executor.cfs.tree import Tree, told
from container_executor.client import Client, NotFoundError


def clear(syncer: Syncer, tree: Tree, label: str, remote: Remote, *, without: Collection[str] = ()) -> tuple[str, ...]:
    """Remove what is in a directory, then the directory; no link is followed.

    A regular file stays if its present content is in no record: neither in *remote* nor in an earlier revision of that file.

    Args:
        syncer: Knows the server and the checksums.
        tree: The directory.
        label: The label that belongs to it.
        remote: What the directory was filled from, or brought out to.
        without: Paths below it that are left alone.

    Returns:
        The paths of the files that stay, sorted.
    """
    local = syncer.hashed(tree, scan(tree, without), remote)
    stored: list[LocalFile] = []
    unsure: list[LocalFile] = []
    for path, file in local.files.items():
        (stored if file.lost or remote.has(path, file.checksum) else unsure).append(file)
    stored += _earlier(syncer, tree, label, unsure)
    syncer.stop.check()
    return _remove(tree, local, stored, frozenset(without))


def _earlier(syncer: Syncer, tree: Tree, label: str, files: Sequence[LocalFile]) -> list[LocalFile]:
    """Return those of *files* whose content is in a record of theirs, current or not, hashed."""
    found: list[LocalFile] = []

    def one(file: LocalFile) -> None:
        try:
            revisions = syncer.client.from_thread(Client.revisions, *label_of(label, file.path))
        except NotFoundError:
            return
        with suppress(CfsError):
            checksum = syncer.checksum(tree, file)
            if any((kept.size, kept.checksum) == (file.size, checksum) for kept in revisions):
                found.append(attrs.evolve(file, checksum=checksum))

    with stopping(syncer.stop) as stop:
        each(files, one, stop)
    return found


def _remove(tree: Tree, local: Listing, stored: Sequence[LocalFile], without: frozenset[str]) -> tuple[str, ...]:
    gone = {file.path for file in stored if _unlink(tree, file.path, file.stamp)}
    odd = {odd.path for odd in local.oddities if not odd.content and _unlink(tree, odd.path, None)}
    for path in reversed(local.directories):
        _remove_directory(tree, tuple(path.split("/")))
    if not without:
        _remove_directory(tree, ())
    left = {*local.files, *(entry.path for entry in local.oddities)}
    return tuple(sorted(left - gone - odd))


def _unlink(tree: Tree, path: str, stamp: Stamp | None) -> bool:
    """Remove a file that is still what it was, or, without a stamp, anything but a regular file or a directory."""
    *below, name = path.split("/")
    try:
        with told(tree.path, path), tree.opened(below) as directory:
            status = os.lstat(name, dir_fd=directory)
            kind = stat.S_IFMT(status.st_mode)
            if (stamp is None and kind in (stat.S_IFREG, stat.S_IFDIR)) or (stamp and Stamp.of(status) != stamp):
                return False
            os.unlink(name, dir_fd=directory)
    except FileNotFoundError:
        return True
    except CfsError:
        return False
    return True


def _remove_directory(tree: Tree, below: tuple[str, ...]) -> None:
    """Remove a directory with nothing in it but what synchronisations leave; keep any other."""
    *above, name = (*tree.parts, *below)
    with suppress(OSError, CfsError):
        with tree.opened(below) as directory:
            for entry in os.listdir(directory):  # noqa: PTH208 - a descriptor, which pathlib cannot
                if entry == MARKER or entry.startswith(PARTIAL):
                    os.unlink(entry, dir_fd=directory)
        with Tree(tree.base).opened(above) as parent:
            os.rmdir(name, dir_fd=parent)
