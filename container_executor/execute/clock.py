"""Time as the executor counts it, and a bell that tasks wait at."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

import anyio


def now() -> float:
    """Return the boot clock in seconds: it runs on while the machine sleeps and does not jump when somebody sets the time."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def wall() -> datetime:
    """Return the time of day, for people and for comparing with what an engine recorded."""
    return datetime.now(UTC)


class Bell:
    """Something to wait at until it rings. A ring before the wait counts; several rings before one wait are one."""

    def __init__(self) -> None:
        self._event = anyio.Event()

    def ring(self) -> None:
        """Wake whoever waits now, or the next one who does."""
        self._event.set()

    async def wait(self, seconds: float | None = None) -> bool:
        """Wait for a ring, at most *seconds*; return whether it rang."""
        with anyio.move_on_after(seconds):
            await self._event.wait()
        rang = self._event.is_set()
        self._event = anyio.Event()
        return rang


class Throttled:
    """Calls a function at most once in so many seconds, however often it is asked to."""

    def __init__(self, function: Callable[[str], None], seconds: float) -> None:
        self._function = function
        self._seconds = seconds
        self._next = 0.0

    def __call__(self, text: str) -> None:
        """Pass *text* on, or drop it where the last one is too young."""
        if now() >= self._next:
            self._next = now() + self._seconds
            self._function(text)
