"""Memory, or places, that several threads share."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

IN_MEMORY = 24 * 2**20
"""Bytes of the content of large files that are in memory at once, however many are under way."""


class Budget:
    """So much of something that several threads share."""

    def __init__(self, size: int = IN_MEMORY) -> None:
        self._size = size
        self._free = size
        self._changed = threading.Condition()

    @contextmanager
    def taking(self, size: int) -> Iterator[None]:
        """Hold *size* of it, waiting for others; more than there is counts as all of it."""
        size = min(size, self._size)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= size)
            self._free -= size
        try:
            yield
        finally:
            with self._changed:
                self._free += size
                self._changed.notify_all()
