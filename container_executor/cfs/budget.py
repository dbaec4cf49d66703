"""Memory, or places, that several threads share."""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

IN_MEMORY = 24 * 2**20
"""Bytes of the content of large files that are in memory at once, however many are under way."""


class Budget:
    """So much of something that several threads share. Whoever came first is served first, however much it wants."""

    def __init__(self, size: int = IN_MEMORY) -> None:
        self._size = size
        self._free = size
        self._lock = threading.Lock()
        self._waiting = deque[tuple[int, threading.Event]]()

    @contextmanager
    def taking(self, size: int) -> Iterator[None]:
        """Hold *size* of it, waiting for others; more than there is counts as all of it."""
        size = min(size, self._size)
        served = threading.Event()
        with self._lock:
            self._waiting.append((size, served))
            self._serve()
        try:
            served.wait()
            yield
        finally:
            with self._lock:
                if served.is_set():
                    self._free += size
                else:  # interrupted while it waited
                    self._waiting.remove((size, served))
                self._serve()

    def _serve(self) -> None:
        while self._waiting and self._waiting[0][0] <= self._free:
            size, served = self._waiting.popleft()
            self._free -= size
            served.set()
