"""What is in a directory: its regular files, and what else lies there that cannot be synchronised."""

import os
import stat
from collections.abc import Collection, Iterator

import attrs

from container_executor.cfs.errors import PathError
from container_executor.cfs.names import MARKER, PARTIAL, why_refused
from container_executor.cfs.tree import Tree, told

DEEPEST = 100
"""Levels of directories; deeper ones fit into no label that a server takes."""


@attrs.frozen
class Stamp:
    """What tells a file, and every change of it, from all others as long as the disk's clock has moved on.

    The time of the last change of the inode is in it because, unlike the modification time, no program can set it.
    """

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> "Stamp":
        """Return the stamp of a file."""
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


@attrs.frozen
class LocalFile:
    """A regular file.

    Attributes:
        path: Below the directory, with "/" between its parts.
        stamp: What it was when it was looked at.
        checksum: SHA-256 of its content, lowercase hex; "" where it has not been computed.
        lost: It was downloaded, and the machine went down before the disk had its content.
    """

    path: str
    stamp: Stamp
    checksum: str = ""
    lost: bool = False

    @property
    def size(self) -> int:
        """Bytes."""
        return self.stamp.size


@attrs.frozen
class Oddity:
    """Something in a directory that is not synchronised.

    Attributes:
        path: Below the directory.
        reason: Why, in words.
        content: It is a regular file, or holds some: leaving it out leaves content out.
        directory: It is a directory.
    """

    path: str
    reason: str
    content: bool = False
    directory: bool = False


@attrs.frozen
class Listing:
    """What is in a directory.

    Attributes:
        files: The regular files by their path.
        oddities: What else there is.
        directories: Paths of all directories below it, parents before children.
        unfinished: Paths of downloads that are under way, or were cut off.
    """

    files: dict[str, LocalFile]
    oddities: tuple[Oddity, ...]
    directories: tuple[str, ...]
    unfinished: tuple[str, ...] = ()


def scan(tree: Tree, without: Collection[str] = ()) -> Listing:
    """List the directory and all below it; one that is not there is empty. No link is followed, nothing is opened.

    Args:
        tree: The directory.
        without: Paths of directories below it that are left out.

    Raises:
        CfsError: The directory itself is not safe, or cannot be read.
    """
    files: dict[str, LocalFile] = {}
    oddities: list[Oddity] = []
    directories: list[str] = []
    unfinished: list[str] = []
    waiting: list[tuple[str, ...]] = [()]
    while waiting:
        below = waiting.pop()
        for found in _entries(tree, below):
            if isinstance(found, LocalFile):
                files[found.path] = found
            elif isinstance(found, Oddity):
                oddities.append(found)
            elif found[-1].startswith(PARTIAL):
                unfinished.append("/".join(found))
            elif (path := "/".join(found)) not in without:
                directories.append(path)
                waiting.append(found)
    return Listing(files, tuple(oddities), tuple(directories), tuple(unfinished))


def _entries(tree: Tree, below: tuple[str, ...]) -> Iterator[LocalFile | Oddity | tuple[str, ...]]:
    """Yield what is directly in a directory; a directory, and an unfinished download, as the parts of its path."""
    try:
        with tree.opened(below) as descriptor, told(tree.path, *below), os.scandir(descriptor) as entries:
            for entry in entries:
                if entry.name != MARKER:
                    yield _entry(entry, below)
    except FileNotFoundError:
        return
    except PathError as error:
        if not below:
            raise
        yield Oddity("/".join(below), str(error))


def _entry(entry: "os.DirEntry[str]", below: tuple[str, ...]) -> LocalFile | Oddity | tuple[str, ...]:
    if entry.name.startswith(PARTIAL):
        return (*below, entry.name)
    path = "/".join((*below, entry.name))
    status = entry.stat(follow_symlinks=False)
    regular, directory = stat.S_ISREG(status.st_mode), stat.S_ISDIR(status.st_mode)
    if (reason := why_refused(entry.name)) or (directory and len(below) >= DEEPEST):
        reason = reason or f"more than {DEEPEST} directories deep"
        return Oddity(path, reason, content=regular or directory, directory=directory)
    if regular:
        return LocalFile(path, Stamp.of(status))
    if directory:
        return (*below, entry.name)
    return Oddity(path, _KINDS.get(stat.S_IFMT(status.st_mode), "no regular file"))


_KINDS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
