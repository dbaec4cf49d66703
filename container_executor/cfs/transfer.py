"""Moves the content of one file: from a directory to the store, or back, verified on the way. Blocking; threads call it.

An upload is hashed as it is read, and is only good if the file was the same before and after. A download is written under another
name, and takes its own only once its size and checksum are those of the record: a file is there whole or not at all. A large one
that was cut off stays under that other name, and the next run goes on with it.
"""

import hashlib
import mmap
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

import attrs

from container_executor.cfs.budget import IN_MEMORY, Budget
from container_executor.cfs.errors import CfsError, ChangingError, ContentError, ObjectMissingError
from container_executor.cfs.hashes import PIECE, Hashes
from container_executor.cfs.names import PARTIAL
from container_executor.cfs.remote import RemoteFile
from container_executor.cfs.scan import LocalFile, Stamp
from container_executor.cfs.tree import Partial, Tree

if TYPE_CHECKING:
    from container_executor.cfs.store import Store  # obstore is imported where something is stored

T = TypeVar("T")
Counter = Callable[[int], None]
"""Is told how many bytes have been moved."""

WHOLE = 12 * 2**20
"""A file of at most so many bytes is stored in one piece, and begins anew if it was cut off on its way down."""
PART = 16 * 2**20
"""Bytes of each part of a larger one; more where it would have too many. Such files are stored one at a time."""
STREAMED = 4 * 2**20, PART
"""A file of more bytes than the first, and no more than the second, is stored while it is read, where the store takes it so."""
MOST_PARTS = 9_000
STREAM = 2**18
COMING = 3 * 2**20
"""Bytes of a download that are in memory, as measured: ours, and those that obstore and its connection hold."""
MAPPED = 2**17
PARTS_AT_ONCE = 3
TRIES = 3
_DIGITS = 16


class StoppedError(CfsError):
    """We were told to stop."""


@attrs.frozen
class Sent:
    """Content that has been stored."""

    size: int
    checksum: str
    object: str
    stamp: Stamp


@attrs.frozen(eq=False)
class Mover:
    """Moves contents between one directory and the store.

    Attributes:
        store: Where the contents are kept.
        tree: The directory.
        hashes: Learns the checksums of what was moved.
        prefix: Begins the keys of what is stored.
        moved: Told the bytes of each piece that was moved.
        budget: Bounds the memory of all movers together.
        stop: Ends what is under way, before anything gets its final name.
    """

    store: "Store"
    tree: Tree
    hashes: Hashes
    prefix: str = ""
    moved: Counter = lambda _count: None
    budget: Budget = attrs.field(factory=Budget)
    stop: threading.Event = attrs.field(factory=threading.Event)

    # --- up -----------------------------------------------------------------------------------------------------------

    def send(self, file: LocalFile) -> Sent:
        """Store the content of a file as it is now.

        Raises:
            ChangingError: It was written to each time that it was read.
            CfsError: It could not be read or stored.
        """
        return self._tried(lambda: self._send_once(file), file.path, ChangingError)

    def _send_once(self, file: LocalFile) -> Sent:
        with self.tree.reading(file.path) as descriptor, self._counting() as moved:
            before, looked = Stamp.of(os.fstat(descriptor)), time.time()
            key = self.store.new_key(self.prefix)
            checksum = self._way_of(before.size)(descriptor, before.size, key, moved)
            if Stamp.of(os.fstat(descriptor)) != before:
                self._forget(key)
                raise ChangingError(f"{self._name(file.path)}: is being written to; it was not stored")
        self.hashes.put(before, checksum, looked=looked)
        return Sent(before.size, checksum, key, before)

    def _way_of(self, size: int) -> Callable[[int, int, str, Counter], str]:
        """Return how a file of so many bytes is stored."""
        if self.store.streams and STREAMED[0] < size <= STREAMED[1]:
            return self._send_stream
        return self._send_whole if size <= WHOLE else self._send_parts

    def _send_whole(self, descriptor: int, size: int, key: str, moved: Counter) -> str:
        with self.budget.taking(size):
            # Anonymous memory goes back when it is let go; the allocator would keep some for each thread.
            data = memoryview(mmap.mmap(-1, size + 1) if size > MAPPED else bytearray(size + 1))
            count = _fill(descriptor, data)
            content = data[:count]
            if count != size:
                raise ChangingError("a file changed its size while it was read")
            self._check()
            # An empty file too: pycolonies asks for its object, and the official client when it downloads a snapshot.
            self.store.put(key, content)
            moved(size)
            return hashlib.sha256(content).hexdigest()

    def _send_stream(self, descriptor: int, size: int, key: str, moved: Counter) -> str:
        digest = hashlib.sha256()

        def pieces() -> Iterator[memoryview]:
            buffer, left = memoryview(bytearray(STREAM)), size
            while left and (count := os.readv(descriptor, [buffer[:left]])):
                self._check()
                digest.update(buffer[:count])
                yield buffer[:count]
                moved(count)
                left -= count
            if left:
                raise ChangingError("a file changed its size while it was read")

        self.store.put_streamed(key, size, pieces())
        return digest.hexdigest()

    def _send_parts(self, descriptor: int, size: int, key: str, moved: Counter) -> str:
        digest, sent = hashlib.sha256(), 0
        with self.budget.taking(IN_MEMORY), self._writing(key, size) as writer:
            buffer = bytearray(2**20)
            while count := os.readv(descriptor, [buffer]):
                self._check()
                piece = bytes(memoryview(buffer)[:count])
                digest.update(piece)
                writer.write(piece)
                sent += count
                moved(count)
                if sent > size:
                    raise ChangingError("a file grew while it was read")
        if self.store.size(key) != sent or sent != size:
            self._forget(key)
            raise ChangingError("a file changed its size while it was read, or was not stored whole")
        return digest.hexdigest()

    def _writing(self, key: str, size: int) -> AbstractContextManager[Any]:
        return self.store.writing(key, part=max(PART, -(-size // MOST_PARTS)), at_once=PARTS_AT_ONCE)

    def _forget(self, key: str) -> None:
        """Delete an object that no record will name; one that stays is for the garbage collection."""
        try:
            self.store.delete([key])
        except CfsError:
            return

    # --- down ---------------------------------------------------------------------------------------------------------

    def fetch(self, file: RemoteFile) -> None:
        """Put the content of a file into the directory, whole, or not at all.

        Raises:
            ContentError: What the store has is not what the record says, in any of several tries.
            CfsError: It could not be fetched or written.
        """
        try:
            self._tried(lambda: self._fetch_once(file), file.path, ContentError)
        except ObjectMissingError as error:
            raise ContentError(f"{file.path}: the content is not in the store: {error}; put the file again") from error

    def reached(self, file: RemoteFile) -> int:
        """Return how many bytes of a file have come that the next try goes on with."""
        return self.tree.size(path) if (path := unfinished_path(file)) else 0

    def _fetch_once(self, file: RemoteFile) -> None:
        unfinished = unfinished_path(file).rpartition("/")[2]
        taking = self.budget.taking(min(file.size, COMING))
        with taking, self.tree.partial(file.path, unfinished) as partial, self._counting() as moved:
            digest, size = self._go_on(partial, file)
            moved(size)
            # An empty file is not asked for: the official client stores no object for it.
            for piece in self.store.read(file.object, size) if size < file.size else ():
                self._check()
                size += len(piece)
                digest.update(piece)
                if size > file.size:
                    break
                partial.write(piece)
                moved(len(piece))
            if (size, digest.hexdigest()) != (file.size, file.checksum.lower()):
                partial.clear()
                raise ContentError(
                    f"{file.path}: what the store has ({size} bytes, SHA-256 {digest.hexdigest()[:12]}...) is not what the "
                    f"record says ({file.size} bytes, {file.checksum[:12]}...); put the file again"
                )
            self._check()
            stamp = Stamp.of(partial.finish())
        self.hashes.learn(stamp, digest.hexdigest())

    def _go_on(self, partial: Partial, file: RemoteFile) -> tuple["hashlib._Hash", int]:
        """Return the checksum and the size of what an earlier run has left, which is the beginning of the file or nothing."""
        digest, size = hashlib.sha256(), 0
        if partial.size() > file.size:
            partial.clear()
        for piece in partial.pieces(PIECE) if partial.size() else ():
            self._check()
            size += len(piece)
            digest.update(piece)
        return digest, size

    # --- both ---------------------------------------------------------------------------------------------------------

    @contextmanager
    def _counting(self) -> Iterator[Counter]:
        """Yield what counts the bytes of a file; if the block fails they are taken back, because they will be moved again."""
        counted = 0

        def moved(count: int) -> None:
            nonlocal counted
            counted += count
            self.moved(count)

        try:
            yield moved
        except BaseException:
            self.moved(-counted)
            raise

    def _tried(self, work: Callable[[], T], path: str, passing: type[CfsError]) -> T:
        """Return what *work* returns, done again while it raises an error that may pass."""
        try:
            for _ in range(TRIES - 1):
                with suppress(passing):
                    return work()
            return work()
        except FileNotFoundError:
            raise ChangingError(f"{self._name(path)}: it, or its directory, was removed meanwhile") from None

    def _check(self) -> None:
        if self.stop.is_set():
            raise StoppedError("stopped")

    def _name(self, path: str) -> str:
        return str(self.tree.path / path)


def unfinished_path(file: RemoteFile) -> str:
    """Return where a file lies as long as it is not there whole, "" where it is so small that it begins anew."""
    if file.size <= WHOLE:
        return ""
    above, slash, name = file.path.rpartition("/")
    return f"{above}{slash}{PARTIAL}{hashlib.sha256(f'{name}/{file.checksum}'.encode()).hexdigest()[:_DIGITS]}"


def _fill(descriptor: int, view: memoryview) -> int:
    """Read until *view* is full or the file ends; return the bytes read."""
    count = 0
    while count < len(view) and (got := os.readv(descriptor, [view[count:]])):
        count += got
    return count
