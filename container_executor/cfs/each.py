"""Does several things at once, each in a thread, and raises the first error as it is. Blocking."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from container_executor.cfs.errors import StoppedError

T = TypeVar("T")
U = TypeVar("U")

AT_ONCE = 12
"""Files, or labels, under way. Calls to the server are bounded by the client, since many can stop a Colonies server for good."""
LEAVE = 2.0
"""Seconds for which a block waits for threads that it has told to stop: so much they may take for what they are at."""
_LOOK = 0.5  # seconds between two looks at what is above


class Stop:
    """Tells threads to stop, all that look at it or at one below it."""

    def __init__(self, above: "Stop | None" = None) -> None:
        self._above = above
        self._event = threading.Event()
        self._threads = list[threading.Thread]()

    def start(self, work: Callable[[], None]) -> None:
        """Start a thread that looks at this."""
        thread = threading.Thread(target=work)
        thread.start()
        self._threads.append(thread)

    def wait(self, seconds: float) -> None:
        """Wait for the threads that were started, but no longer than that."""
        end = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))

    def set(self) -> None:
        """Tell them."""
        self._event.set()

    def is_set(self) -> bool:
        """Return whether they are told."""
        return self._event.is_set() or (self._above is not None and self._above.is_set())

    def check(self) -> None:
        """Raise :class:`StoppedError` if they are told."""
        if self.is_set():
            raise StoppedError("stopped")

    def pause(self, seconds: float) -> None:
        """Wait, unless they are told: then raise :class:`StoppedError`."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.check()
            self._event.wait(min(left, _LOOK))
        self.check()


@contextmanager
def stopping(above: Stop, *, leave: float = LEAVE) -> Iterator[Stop]:
    """Yield what tells the threads of the block to stop at its end.

    Those that an error left behind end what they are at, so that nothing is half done; one that is held up outlives the block.

    Args:
        above: Stops them, too.
        leave: Seconds to wait for them; none in an event loop.
    """
    stop = Stop(above)
    try:
        yield stop
    finally:
        stop.set()
        stop.wait(leave)


def each(items: Iterable[T], work: Callable[[T], None], stop: Stop, *, at_once: int = AT_ONCE) -> None:
    """Do *work* on every item, begun in their order.

    The first error is raised at once: nothing more is begun, and threads that are at something are waited for where the block of
    *stop* ends (see :func:`stopping`).
    """
    crew = _Crew(deque(items), work, stop)
    count = min(at_once, len(crew.waiting))
    if count <= 1:
        crew.work_off()
        return
    for _ in range(count):
        stop.start(crew.member)
    for _ in range(count):
        if error := crew.ended.get():
            raise error


class _Crew(Generic[T]):
    """Threads that share work."""

    def __init__(self, waiting: deque[T], work: Callable[[T], None], stop: Stop) -> None:
        self.waiting = waiting
        self.ended = SimpleQueue[BaseException | None]()
        self._work = work
        self._stop = stop

    def member(self) -> None:
        """Be one of the threads."""
        try:
            self.work_off()
        except BaseException as error:  # noqa: BLE001 - raised again by the one who waits for us
            self.waiting.clear()
            self.ended.put(error)
        else:
            self.ended.put(None)

    def work_off(self) -> None:
        """Take one after the other until there is none."""
        while True:
            try:
                item = self.waiting.popleft()
            except IndexError:
                return
            self._stop.check()
            self._work(item)


def both(first: Callable[[], T], second: Callable[[], U], stop: Stop) -> tuple[T, U]:
    """Do two things at once and return what each of them returns; the first error is raised at once."""
    found: list[Any] = [None, None]

    def one(numbered: tuple[int, Callable[[], Any]]) -> None:
        number, work = numbered
        found[number] = work()

    each(enumerate((first, second)), one, stop)
    return found[0], found[1]
