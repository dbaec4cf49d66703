"""What a downloaded file says of itself, so that one whose content was lost with the power is not taken for what somebody wrote.

File systems keep a name before the content that it leads to: on ext4, XFS and btrfs half a minute before (proc(5),
``vm.dirty_expire_centisecs``). When the power fails in between, a file is empty or short, and whoever keeps the local side would
store it as the truth. Waiting for the disk prevents that and takes longer than the download
(docs/decisions/a-download-does-not-wait-for-the-disk.md). So the file carries a seal, an extended attribute (xattr(7)): journals keep it
no later than the name, because it was there first.
"""

import os
import struct
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from itertools import groupby

import attrs

from container_executor.cfs.boot import boot
from container_executor.cfs.errors import CfsError, ChangingError, PathError
from container_executor.cfs.scan import LocalFile
from container_executor.cfs.tree import Tree
from container_executor.logs import Logger

log = Logger(__name__)

_NAME = "user.container-executor"
_FORM = struct.Struct(
    ">16sqq16s"
)  # with this name it fits into an inode of ext4: 256 bytes, of which 96 are left for attributes
_PAGE = 4096
"""What was lost begins at a multiple of so many bytes: content goes to the disk by pages."""


@attrs.frozen
class Seal:
    """What a file was when it got its name.

    Attributes:
        boot: The run of the machine, as :func:`boot` returned it.
        mtime_ns: When it was written last.
        size: Bytes.
        checksum: First half of the SHA-256 of its content.
    """

    boot: bytes
    mtime_ns: int
    size: int
    checksum: bytes

    def lost(self, size: int, mtime_ns: int, checksum: Callable[[], str]) -> bool:
        """Return whether the content is gone: nobody has written to it since, but it is another after the machine was started anew.

        Args:
            size: What the file has now.
            mtime_ns: When it was written last.
            checksum: Returns the SHA-256 of what is in it now, lowercase hex.
        """
        if self.boot == boot() or self.mtime_ns != mtime_ns:
            return False
        if size == self.size:
            return bytes.fromhex(checksum())[: len(self.checksum)] != self.checksum
        return size < self.size and size % _PAGE == 0


def seal(descriptor: int, checksum: str) -> bool:
    """Seal a file that is whole; return False where the file system has no room for that, or the machine does not say when it was started.

    Args:
        descriptor: The file.
        checksum: SHA-256 of its content, lowercase hex.
    """
    if not boot():
        return False
    status = os.fstat(descriptor)
    value = _FORM.pack(boot(), status.st_mtime_ns, status.st_size, bytes.fromhex(checksum)[:16])
    try:
        os.setxattr(descriptor, _NAME, value)
    except OSError:
        return False
    return True


def lost(tree: Tree, files: Iterable[LocalFile], checksum: Callable[[LocalFile], str]) -> list[LocalFile]:
    """Return those files of a directory whose content was lost.

    Args:
        tree: The directory.
        files: Below it; those that lie in one directory should follow each other.
        checksum: Returns the SHA-256 of what is in a file now, lowercase hex.
    """
    found: list[LocalFile] = []
    for file, sealed in _seals(tree, files):
        with suppress(ChangingError, PathError):  # somebody writes to it
            if sealed.lost(file.size, file.stamp.mtime_ns, partial(checksum, file)):
                found.append(file)
    if found:
        first = str(tree.path / found[0].path)
        log.warning("the machine went down before the disk had some files", count=len(found), first=first)
    return found


def _seals(tree: Tree, files: Iterable[LocalFile]) -> Iterator[tuple[LocalFile, Seal]]:
    for above, group in groupby(files, key=lambda file: file.path.rpartition("/")[0]):
        with suppress(FileNotFoundError, CfsError), tree.opened(above.split("/") if above else ()) as directory:
            for file in group:
                if found := _read(directory, file.path.rpartition("/")[2]):
                    yield file, found


def _read(directory: int, name: str) -> Seal | None:
    with suppress(OSError, struct.error):
        return Seal(*_FORM.unpack(os.getxattr(f"/proc/self/fd/{directory}/{name}", _NAME, follow_symlinks=False)))
    return None
