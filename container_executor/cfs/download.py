"""Puts the content of one file into a directory. Blocking; threads call it.

It is written under another name, and takes its own only once its size and checksum are those of the record: a file is there whole
or not at all. A large one that was cut off stays under that other name, and the next run goes on with it.
"""

import hashlib
import os
from collections.abc import Callable

from container_executor.cfs.errors import ContentError, ObjectMissingError
from container_executor.cfs.hashes import PIECE
from container_executor.cfs.mover import SMALL, Mover
from container_executor.cfs.names import PARTIAL
from container_executor.cfs.remote import RemoteFile
from container_executor.cfs.scan import Stamp
from container_executor.cfs.seal import seal
from container_executor.cfs.tree import Partial

WHOLE = 12 * 2**20
"""A file of at most so many bytes begins anew if it was cut off on its way."""
COMING = 3 * 2**20
"""Bytes of a download that are in memory, as measured where obstore brings it; fewer otherwise."""
_DIGITS = 16


def fetch(mover: Mover, file: RemoteFile, small: Callable[[RemoteFile], bytes | None]) -> None:
    """Put the content of a file into the directory, whole, or not at all.

    Args:
        mover: Knows both sides.
        file: The file.
        small: Returns the content of a small one; None where it has more bytes than the file should.

    Raises:
        ContentError: What the store has is not what the record says, in any of several tries.
        CfsError: It could not be fetched or written.
    """

    def work() -> None:
        if file.size <= SMALL:
            _write_small(mover, file, small(file))
        else:
            _fetch_large(mover, file)

    try:
        mover.tried(work, file.path, ContentError)
    except ObjectMissingError as error:
        raise ContentError(f"{file.path}: the content is not in the store: {error}; put the file again") from error


def reached(mover: Mover, file: RemoteFile) -> int:
    """Return how many bytes of a file have come that the next try goes on with."""
    return mover.tree.size(path) if (path := unfinished_path(file)) else 0


def unfinished_path(file: RemoteFile) -> str:
    """Return where a file lies as long as it is not there whole, "" where it is so small that it begins anew."""
    if file.size <= WHOLE:
        return ""
    above, slash, name = file.path.rpartition("/")
    return f"{above}{slash}{PARTIAL}{hashlib.sha256(f'{name}/{file.checksum}'.encode()).hexdigest()[:_DIGITS]}"


def _write_small(mover: Mover, file: RemoteFile, content: bytes | None) -> None:
    if content is None:
        raise _differs(file, f"more than {file.size} bytes")
    checksum = hashlib.sha256(content).hexdigest()
    _compare(file, len(content), checksum)
    mover.check()
    with mover.turn, mover.directory.partial(file.path) as partial:
        partial.write(content)
        stamp = _finish(partial, checksum)
    mover.moved(len(content))
    mover.hashes.learn(stamp, checksum)


def _fetch_large(mover: Mover, file: RemoteFile) -> None:
    unfinished = unfinished_path(file).rpartition("/")[2]
    taking = mover.budget.taking(min(file.size, COMING))
    with taking, mover.tree.partial(file.path, unfinished) as partial, mover.counting() as moved:
        digest, size = _go_on(mover, partial, file)
        partial.reserve(file.size)
        moved(size)
        for piece in mover.store.read(file.object, size) if size < file.size else ():
            mover.check()
            size += len(piece)
            digest.update(piece)
            if size > file.size:
                break
            partial.write(piece)
            moved(len(piece))
        checksum = digest.hexdigest()
        try:
            _compare(file, size, checksum)
        except ContentError:
            partial.clear()
            raise
        mover.check()
        stamp = _finish(partial, checksum)
    mover.hashes.learn(stamp, checksum)


def _finish(partial: Partial, checksum: str) -> Stamp:
    """Give a file its name; what the power takes from it from then on can be noticed, or the disk has it already."""
    if not seal(partial.descriptor, checksum):
        os.fsync(partial.descriptor)
    return Stamp.of(partial.finish())


def _compare(file: RemoteFile, size: int, checksum: str) -> None:
    if (size, checksum) != (file.size, file.checksum.lower()):
        raise _differs(file, f"{size} bytes, SHA-256 {checksum[:12]}...")


def _differs(file: RemoteFile, found: str) -> ContentError:
    return ContentError(
        f"{file.path}: what the store has ({found}) is not what the record says "
        f"({file.size} bytes, {file.checksum[:12]}...); put the file again"
    )


def _go_on(mover: Mover, partial: Partial, file: RemoteFile) -> tuple["hashlib._Hash", int]:
    """Return the checksum and the size of what an earlier run has left, which is the beginning of the file or nothing."""
    digest, size = hashlib.sha256(), 0
    if partial.size > file.size:
        partial.clear()
    for piece in partial.pieces(PIECE) if partial.size else ():
        mover.check()
        size += len(piece)
        digest.update(piece)
    return digest, size
