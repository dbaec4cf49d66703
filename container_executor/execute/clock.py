"""Time as the executor counts it, and a bell that tasks wait at."""

import time
from datetime import UTC, datetime
from pathlib import Path

import anyio


def now() -> float:
    """Return the boot clock in seconds: it runs on while the machine sleeps and does not jump when somebody sets the time."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def boot() -> str:
    """Return the id of this boot of the machine (random(4)): times of the boot clock are comparable within one boot only."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


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
