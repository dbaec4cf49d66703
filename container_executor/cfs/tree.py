"""A directory of a site, walked without ever following a symbolic link, so that nothing outside it is read or written.

A job may leave anything in a directory of its own: links, FIFOs, devices, names of any kind. So each step below the base is
an ``openat`` with ``O_NOFOLLOW``, and each operation opens its own descriptors.
"""

import errno
import fcntl
import itertools
import os
import secrets
import stat
import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import attrs

from container_executor.cfs.errors import CfsError, DiskError, PathError
from container_executor.cfs.names import PARTIAL

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# O_NONBLOCK: opening a FIFO, which may have taken the place of a file a moment ago, must not wait for a writer (open(2)).
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_WRITE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_GO_ON = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_OURS, _NUMBERS = secrets.token_hex(8), itertools.count()
"""Begins the names of unfinished files, which no other program uses, and ends them."""
_FULL = (errno.ENOSPC, errno.EDQUOT)
# Of fallocate(2), glibc has one that writes where the file system has none, and Python none that leaves the size as it is.
_RESERVE = 0x40305828  # FS_IOC_RESVSP (linux/falloc.h)
_ROOM = struct.Struct("hhqqiI16x")  # struct space_resv: type, whence, start, length, sysid, pid


@attrs.frozen
class Tree:
    """A directory below a base that the site owns.

    Attributes:
        base: Trusted; it may itself be reached through links.
        parts: The way from there to the directory; none of it may be a link.
        owner: User and group id that everything made here is given; None leaves them ours.
    """

    base: Path
    parts: tuple[str, ...] = ()
    owner: tuple[int, int] | None = None

    @property
    def path(self) -> Path:
        """The directory as a path, for messages and for engines."""
        return self.base.joinpath(*self.parts)

    @contextmanager
    def opened(self, below: Sequence[str] = (), *, create: bool = False) -> Iterator[int]:
        """Yield a descriptor of the directory, or of one below it; *create* makes what is missing.

        Raises:
            PathError: A part of the way is a link or no directory.
            DiskError: It cannot be opened or made.
            FileNotFoundError: It is not there.
        """
        descriptor = self.descriptor(below, create=create)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def descriptor(self, below: Sequence[str], *, create: bool) -> int:
        """Return a descriptor as :meth:`opened` yields it, which the caller closes."""
        way = [*self.parts, *below]
        with told(self.base):
            descriptor = os.open(self.base, _DIRECTORY)
        for depth in range(len(way)):
            try:
                inner = self._step(descriptor, way[: depth + 1], create=create)
            finally:
                os.close(descriptor)
            descriptor = inner
        return descriptor

    def _step(self, descriptor: int, way: Sequence[str], *, create: bool) -> int:
        with told(self.base, *way):
            try:
                return os.open(way[-1], _DIRECTORY | os.O_NOFOLLOW, dir_fd=descriptor)
            except FileNotFoundError:
                if not create:
                    raise
            with suppress(FileExistsError):
                os.mkdir(way[-1], 0o755, dir_fd=descriptor)
            inner = os.open(way[-1], _DIRECTORY | os.O_NOFOLLOW, dir_fd=descriptor)
            self.give(inner)
            return inner

    def make(self) -> None:
        """Make the directory, if it is missing, and give it to the owner."""
        with self.opened(create=True) as descriptor:
            self.give(descriptor)

    def give(self, descriptor: int) -> None:
        """Give what a descriptor is open on to the owner."""
        if self.owner is not None:
            os.fchown(descriptor, *self.owner)

    @contextmanager
    def reading(self, path: str) -> Iterator[int]:
        """Yield a descriptor of a regular file, by its path below the directory.

        Raises:
            PathError: It is a link, or no regular file.
            DiskError: It cannot be read, or is not there any more.
        """
        *below, _name = path.split("/")
        with self.opened(below) as directory, self.reading_in(directory, path) as descriptor:
            yield descriptor

    @contextmanager
    def reading_in(self, directory: int, path: str) -> Iterator[int]:
        """Do what :meth:`reading` does, by a descriptor of the directory that the file is in."""
        name = path.rpartition("/")[2]
        with told(self.base, *self.parts, path):
            # A device must not even be opened: that alone may do something.
            if not stat.S_ISREG(os.lstat(name, dir_fd=directory).st_mode):
                raise PathError(f"{self.path / path}: no regular file any more")
            descriptor = os.open(name, _READ, dir_fd=directory)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise PathError(f"{self.path / path}: no regular file any more")
            yield descriptor
        finally:
            os.close(descriptor)

    @contextmanager
    def partial(self, path: str, unfinished: str = "") -> Iterator["Partial"]:
        """Yield a new file that takes the place of the one at *path* once it is finished, and never appears there before.

        Args:
            path: Below the directory.
            unfinished: Its name until then. What an earlier run has left under it is gone on with, and what this one leaves
                stays for the next. Without such a name nothing stays.
        """
        *below, _name = path.split("/")
        with self.opened(below, create=True) as directory, self.partial_in(directory, path, unfinished) as partial:
            yield partial

    @contextmanager
    def partial_in(self, directory: int, path: str, unfinished: str = "") -> Iterator["Partial"]:
        """Do what :meth:`partial` does, by a descriptor of the directory that the file will be in."""
        name = path.rpartition("/")[2]
        with told(self.base, *self.parts, path):
            begun = _begun(directory, unfinished, name) if unfinished else None
            partial = begun or self._new(directory, unfinished, name)
            try:
                yield partial
            finally:
                partial.close(keep=partial.temporary == unfinished)

    def _new(self, directory: int, unfinished: str, name: str) -> "Partial":
        temporary = unfinished or f"{PARTIAL}{_OURS}{next(_NUMBERS):x}"
        try:
            descriptor = os.open(temporary, _WRITE, 0o644, dir_fd=directory)
        except FileExistsError:  # another program is writing it, or it is nothing that one could go on with
            return self._new(directory, "", name)
        with suppress(OSError):  # some file systems have no locks; there, what was cut off stays
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # until it is closed, by us or by our end: see discard
        self.give(descriptor)
        return Partial(directory, descriptor, temporary, name)

    def size(self, path: str) -> int:
        """Return how many bytes a file has, 0 where there is none."""
        *below, name = path.split("/")
        with suppress(OSError, CfsError), self.opened(below) as directory:
            return os.lstat(name, dir_fd=directory).st_size
        return 0

    def discard(self, paths: Iterable[str]) -> None:
        """Remove unfinished files that nobody is writing any more; what cannot be removed stays."""
        for path in paths:
            *below, name = path.split("/")
            with suppress(OSError, CfsError), self.reading(path) as descriptor, self.opened(below) as directory:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.unlink(name, dir_fd=directory)


@attrs.define
class Partial:
    """A file that is being written under a temporary name.

    Attributes:
        directory: Descriptor of the directory that it lies in.
        descriptor: Descriptor of the file.
        temporary: Its name until it is finished.
        name: Its name then.
        size: Bytes that it has.
        finished: It has that name.
    """

    directory: int
    descriptor: int
    temporary: str
    name: str
    size: int = 0
    finished: bool = False

    def pieces(self, size: int) -> Iterator[memoryview]:
        """Yield what is in it, from its beginning, in pieces of at most *size* bytes that are valid one at a time."""
        buffer = memoryview(bytearray(size))
        os.lseek(self.descriptor, 0, os.SEEK_SET)
        while count := os.readv(self.descriptor, [buffer]):
            yield buffer[:count]

    def write(self, data: bytes | memoryview) -> None:
        """Write all of *data* after what was read or written before."""
        view = memoryview(data)
        while view:
            written = os.write(self.descriptor, view)
            view = view[written:]
            self.size += written

    def reserve(self, size: int) -> None:
        """Take the room that *size* bytes need, where the file system can: a full disk says so before anything comes. No size changes."""
        try:
            fcntl.ioctl(self.descriptor, _RESERVE, _ROOM.pack(0, os.SEEK_SET, 0, size, 0, 0))
        except OSError as error:
            if error.errno in _FULL:
                os.ftruncate(self.descriptor, self.size)  # gives back what it got
                raise

    def clear(self) -> None:
        """Empty it, to begin again."""
        os.ftruncate(self.descriptor, 0)
        os.lseek(self.descriptor, 0, os.SEEK_SET)
        self.size = 0

    def finish(self) -> os.stat_result:
        """Give it its name, and return what it then is."""
        os.rename(self.temporary, self.name, src_dir_fd=self.directory, dst_dir_fd=self.directory)
        self.finished = True
        return os.fstat(self.descriptor)

    def close(self, *, keep: bool) -> None:
        """Close it. What is not finished goes, unless *keep* is set and there is something in it."""
        try:
            if not (self.finished or (keep and self.size)):
                with suppress(FileNotFoundError):
                    os.unlink(self.temporary, dir_fd=self.directory)
        finally:
            os.close(self.descriptor)


def _begun(directory: int, unfinished: str, name: str) -> Partial | None:
    """Return what an earlier run has left under a name, None where there is nothing or another program is writing it."""
    try:
        # A device must not even be opened, nor anything be written that has another name too.
        found = os.lstat(unfinished, dir_fd=directory)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
            return None
        descriptor = os.open(unfinished, _GO_ON, dir_fd=directory)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Until it was locked, another program may have finished it: it would be somebody's file by now.
        found = os.fstat(descriptor)
        if os.path.samestat(os.lstat(unfinished, dir_fd=directory), found):
            return Partial(directory, descriptor, unfinished, name, found.st_size)
    except OSError:
        pass
    os.close(descriptor)
    return None


@contextmanager
def told(base: Path, *below: str) -> Iterator[None]:
    """Turn what the operating system says about a path into an error that names it; absence stays FileNotFoundError."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        path = base.joinpath(*below)
        if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.EISDIR):
            raise PathError(
                f"{path}: a link or a file where a directory, or a directory where a file, is expected"
            ) from error
        full = error.errno in _FULL
        advice = "; free space there" if full else "; check who may read and write there"
        raise DiskError(f"{path}: {error.strerror}{advice}", full=full) from error
