"""Waiting for a signal, for output, or for a time to come, whichever is first."""

import contextlib
import math
import os
import select
import signal
from collections.abc import Iterable
from typing import Protocol


class Source(Protocol):
    """Something with a descriptor on which something may arrive."""

    def fileno(self) -> int:
        """Return the descriptor."""
        ...


class Bell:
    """Rings for signals and for what arrives from the sources it listens to."""

    def __init__(self, signals: Iterable[signal.Signals]) -> None:
        self._hears, speaks = os.pipe()
        for end in (self._hears, speaks):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(speaks, warn_on_full_buffer=False)
        for number in signals:
            signal.signal(number, lambda _number, _frame: None)
        self._sources: set[int] = set()
        self._poller = select.poll()
        self._poller.register(self._hears, select.POLLIN)

    def wait(self, seconds: float) -> bytes:
        """Wait at most *seconds* and return the numbers of the signals that came."""
        self._poller.poll(math.ceil(seconds * 1000))
        with contextlib.suppress(BlockingIOError):
            return os.read(self._hears, 4096)
        return b""

    def listen(self, source: Source) -> None:
        """Ring from now on when something arrives from *source*."""
        self._sources.add(source.fileno())
        self._poller.register(source.fileno(), select.POLLIN)

    def forget(self, source: Source) -> None:
        """Listen to *source* no longer."""
        if self.has(source):
            self._sources.discard(source.fileno())
            self._poller.unregister(source.fileno())

    def has(self, source: Source) -> bool:
        """Return whether *source* is listened to."""
        return source.fileno() in self._sources
