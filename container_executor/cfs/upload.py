"""Stores the content of one file. Blocking; threads call it.

It is hashed as it is read, and is only good if the file was the same before and after.
"""

import hashlib
import os
import time
from collections.abc import Iterator

import attrs

from container_executor.cfs.budget import IN_MEMORY
from container_executor.cfs.errors import CfsError, ChangingError
from container_executor.cfs.mover import SMALL, Counter, Mover
from container_executor.cfs.scan import LocalFile, Stamp

PART = 16 * 2**20
"""A file of at most so many bytes is stored by one request; a larger one in such parts, larger ones where it would have too many."""
MOST_PARTS = 9_000
PARTS_AT_ONCE = 3
_PIECE = 2**18


@attrs.frozen
class Sent:
    """Content that has been stored."""

    size: int
    checksum: str
    object: str


def send(mover: Mover, file: LocalFile) -> Sent:
    """Store the content of a file as it is now.

    Raises:
        ChangingError: It was written to each time that it was read.
        CfsError: It could not be read or stored.
    """
    return mover.tried(lambda: _send(mover, file), file.path, ChangingError)


def _send(mover: Mover, file: LocalFile) -> Sent:
    sent = _send_small(mover, file) if file.size <= SMALL else None
    return sent or _send_large(mover, file)


# --- small ------------------------------------------------------------------------------------------------------------


def _send_small(mover: Mover, file: LocalFile) -> Sent | None:
    """Store a small file; None where it is small no more."""
    with mover.turn, mover.directory.reading(file.path) as descriptor:
        read = _read(mover, file, descriptor)
    if read is None:
        return None
    stamp, looked, content = read
    key = mover.store.new_key(mover.prefix)
    mover.check()
    # An empty file too: pycolonies asks for its object, and the official client when it downloads a snapshot.
    mover.store.put(key, content)
    mover.moved(stamp.size)
    checksum = hashlib.sha256(content).hexdigest()
    mover.hashes.put(stamp, checksum, looked=looked)
    return Sent(stamp.size, checksum, key)


def _read(mover: Mover, file: LocalFile, descriptor: int) -> tuple[Stamp, float, bytes] | None:
    """Return what a file is, when it was looked at, and its content; None where it is not small."""
    before, looked = Stamp.of(os.fstat(descriptor)), time.time()
    if before.size > SMALL:
        return None
    content = os.read(descriptor, before.size + 1)
    if len(content) != before.size or Stamp.of(os.fstat(descriptor)) != before:
        raise _changing(mover, file)
    return before, looked, content


def _changing(mover: Mover, file: LocalFile) -> ChangingError:
    return ChangingError(f"{mover.name(file.path)}: is being written to; it was not stored")


# --- large ------------------------------------------------------------------------------------------------------------


def _send_large(mover: Mover, file: LocalFile) -> Sent:
    with mover.tree.reading(file.path) as descriptor, mover.counting() as moved:
        before, looked = Stamp.of(os.fstat(descriptor)), time.time()
        key = mover.store.new_key(mover.prefix)
        sending = _Sending(mover, mover.name(file.path), descriptor, before.size, key, moved)
        checksum = sending.stream() if mover.store.streams and before.size <= PART else sending.parts()
        if Stamp.of(os.fstat(descriptor)) != before:
            _forget(mover, key)
            raise _changing(mover, file)
    mover.hashes.put(before, checksum, looked=looked)
    return Sent(before.size, checksum, key)


@attrs.frozen
class _Sending:
    """A large file on its way: *size* bytes of *descriptor*, to the object *key*."""

    mover: Mover
    name: str
    descriptor: int
    size: int
    key: str
    moved: Counter

    def stream(self) -> str:
        """Store it by one request; return its checksum."""
        digest = hashlib.sha256()

        def pieces() -> Iterator[memoryview]:
            buffer, left = memoryview(bytearray(_PIECE)), self.size
            while left and (count := os.readv(self.descriptor, [buffer[:left]])):
                self.mover.check()
                digest.update(buffer[:count])
                yield buffer[:count]
                self.moved(count)
                left -= count
            if left:
                raise self._resized()

        self.mover.store.put_streamed(self.key, self.size, pieces())
        return digest.hexdigest()

    def parts(self) -> str:
        """Store it in parts; return its checksum."""
        store, digest, sent = self.mover.store, hashlib.sha256(), 0
        writing = store.writing(self.key, part=max(PART, -(-self.size // MOST_PARTS)), at_once=PARTS_AT_ONCE)
        # What fits into one part is copied once, as that grows.
        with self.mover.budget.taking(min(2 * self.size, IN_MEMORY)), writing as writer:
            buffer = bytearray(2**20)
            while count := os.readv(self.descriptor, [buffer]):
                self.mover.check()
                piece = bytes(memoryview(buffer)[:count])
                digest.update(piece)
                writer.write(piece)
                sent += count
                self.moved(count)
                if sent > self.size:
                    raise self._resized()
        if store.size(self.key) != sent or sent != self.size:
            _forget(self.mover, self.key)
            raise self._resized()
        return digest.hexdigest()

    def _resized(self) -> ChangingError:
        return ChangingError(f"{self.name}: changed its size while it was read; it was not stored")


def _forget(mover: Mover, key: str) -> None:
    """Delete an object that no record will name; one that stays is for the garbage collection."""
    try:
        mover.store.delete([key])
    except CfsError:
        return
