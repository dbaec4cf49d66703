"""What every transfer of a file needs: both sides, and the bounds that all transfers share."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TypeVar

import attrs

from container_executor.cfs.budget import Budget
from container_executor.cfs.each import Stop
from container_executor.cfs.errors import CfsError, ChangingError
from container_executor.cfs.hashes import Hashes
from container_executor.cfs.last_directory import LastDirectory
from container_executor.cfs.tree import Tree

if TYPE_CHECKING:
    from container_executor.cfs.store import Store  # obstore is imported where something is stored

T = TypeVar("T")
Counter = Callable[[int], None]
"""Is told how many bytes have been moved."""

SMALL = 2**18
"""A file of at most so many bytes is in memory whole, and one is read or written at a time."""
TRIES = 3


def _nothing_yet(mover: "Mover") -> LastDirectory:
    return LastDirectory(mover.tree)


@attrs.frozen(eq=False)
class Mover:
    """Moves contents between one directory and the store. Blocking; threads use it, many at once.

    Attributes:
        store: Where the contents are kept.
        tree: The directory.
        hashes: Learns the checksums of what was moved.
        prefix: Begins the keys of what is stored.
        moved: Told the bytes of each piece that was moved.
        budget: Bounds the memory that the large files of all movers take; small ones are bounded by how many are under way.
        stop: Ends what is under way, before anything gets its final name.
        turn: Held while a small file is read or written: threads whose many short system calls are made side by side fight for
            the interpreter's lock, and twelve take three times the processor time of one (docs/decisions/small-requests-are-our-own.md).
            Each run has its own, so that one on a file system that hangs holds up no other.
        directory: Where the last small file was; used in turn.
    """

    store: "Store"
    tree: Tree
    hashes: Hashes
    prefix: str = ""
    moved: Counter = lambda _count: None
    budget: Budget = attrs.field(factory=Budget)
    stop: Stop = attrs.field(factory=Stop)
    turn: threading.Lock = attrs.field(factory=threading.Lock)
    directory: LastDirectory = attrs.field(init=False, default=attrs.Factory(_nothing_yet, takes_self=True))

    def own(self) -> "Mover":
        """Return one that shares all with this one but the directory that is open: a batch is in one, others in others."""
        return attrs.evolve(self)

    @contextmanager
    def counting(self) -> Iterator[Counter]:
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

    def tried(self, work: Callable[[], T], path: str, passing: type[CfsError]) -> T:
        """Return what *work* returns, done again while it raises an error that may pass."""
        try:
            for _ in range(TRIES - 1):
                with suppress(passing):
                    return work()
            return work()
        except FileNotFoundError:
            raise ChangingError(f"{self.name(path)}: it, or its directory, was removed meanwhile") from None

    def check(self) -> None:
        """Raise :class:`StoppedError` if we are to stop."""
        self.stop.check()

    def name(self, path: str) -> str:
        """Return a file of the directory as messages name it."""
        return str(self.tree.path / path)
