"""Files that one thread moves one after the other, and how far all of them are.

For a small file, going to a thread and back costs as much as half of its transfer.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Generic, Protocol, TypeVar

import attrs

from container_executor.cfs.errors import CfsError

MOST = 16
"""Files of a batch."""
SMALL = 2**20
"""A batch ends with the file that makes it larger than so many bytes."""


class _Sized(Protocol):
    @property
    def size(self) -> int: ...


F = TypeVar("F", bound=_Sized)


@attrs.define(eq=False)
class Progress:
    """How far a synchronisation is: files and bytes. Threads count too."""

    total_files: int = 0
    total_bytes: int = 0
    files: int = 0
    bytes: int = 0
    _lock: threading.Lock = attrs.field(factory=threading.Lock)

    def moved(self, count: int) -> None:
        """Count bytes."""
        with self._lock:
            self.bytes += count

    def done(self) -> None:
        """Count a file."""
        with self._lock:
            self.files += 1


@attrs.frozen(eq=False)
class Tally:
    """What became of the files of a run: how far it is, and what failed of single files."""

    progress: Progress
    failures: list[CfsError] = attrs.field(factory=list)

    @contextmanager
    def one(self) -> Iterator[None]:
        """Keep the error of a block if it is about one file; the others may still be moved."""
        try:
            yield
        except CfsError as error:
            if not error.one_file:
                raise
            self.failures.append(error)


@contextmanager
def raising() -> Iterator[Tally]:
    """Yield a tally of one file, whose error is raised at the end."""
    tally = Tally(Progress())
    yield tally
    if tally.failures:
        raise tally.failures[0]


class Batch(Generic[F]):
    """Files to move; once something stops it, it can be run again and goes on where it was."""

    def __init__(self, files: Sequence[F], reached: Callable[[F], int] = lambda _file: 0) -> None:
        """Take the files; *reached* returns how many bytes of one have come that its next try goes on with."""
        self._waiting = deque(files)
        self._size = sum(file.size for file in files)
        self._reached = reached

    def waiting(self) -> list[F]:
        """Return the files that are not done."""
        return list(self._waiting)

    def run(self, work: Callable[[F], None]) -> None:
        """Do *work* on one file after the other; its first error ends the run before that file."""
        while self._waiting:
            work(self._waiting[0])
            self._waiting.popleft()

    def reached(self) -> int:
        """Return how many bytes need not be moved again."""
        waiting = self.waiting()
        return self._size - sum(file.size for file in waiting) + (self._reached(waiting[0]) if waiting else 0)


def batches(files: Sequence[F]) -> Iterator[Sequence[F]]:
    """Divide files into batches, in their order; a large file ends its own."""
    batch: list[F] = []
    size = 0
    for file in files:
        batch.append(file)
        size += file.size
        if len(batch) == MOST or size > SMALL:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
