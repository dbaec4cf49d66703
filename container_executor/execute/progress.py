"""Turns the progress of getting an image, reported from a thread, into few lines of a process's log."""

import asyncio
from collections.abc import Callable

from container_executor.execute.clock import now
from container_executor.models import Progress
from container_executor.units import format_size

PAUSE = 5.0
"""Seconds between two lines, growing by half each time: a pull of an hour is about twenty lines."""


class Reporter:
    """Takes reports from any thread and tells a few of them in the event loop's.

    Each report is told once: the same words do not come again within the pause.
    """

    def __init__(self, tell: Callable[[str, str], None]) -> None:
        """Begin, in the event loop's thread; *tell* takes a name and a text."""
        self._tell = tell
        self._loop = asyncio.get_running_loop()
        self._next = 0.0
        self._pause = PAUSE

    def __call__(self, progress: Progress) -> None:
        """Take a report."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._take, progress)

    def _take(self, progress: Progress) -> None:
        moving = 0 < progress.done < progress.total
        if moving and now() < self._next:
            return
        if moving:
            self._next = now() + self._pause
            self._pause *= 1.5
        text = (
            f"{progress.text} {format_size(progress.done)} of {format_size(progress.total)}"
            if moving
            else progress.text
        )
        self._tell(f"image: {text}", text)
