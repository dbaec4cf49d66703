"""Runs one command's work in an event loop, which Ctrl-C ends whatever it is at."""

import asyncio
import signal
import threading
from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

T = TypeVar("T")


def run(work: Callable[..., Awaitable[T]], *arguments: object) -> T:
    """Return what *work* returns.

    Raises:
        KeyboardInterrupt: Ctrl-C ended it.
    """

    async def watched() -> T:
        _end_on_interrupt()
        return await work(*arguments)

    try:
        return anyio.run(watched)
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


def _end_on_interrupt() -> None:
    """Have Ctrl-C cancel the present task between two steps of the loop; a second one ends the program at once.

    asyncio's own handler (``Runner._on_sigint``) cancels in the middle of a step: a future that is cancelled between a look at it
    and its result is an error inside of the loop, and in one of some 500 interrupts the program went on.
    """
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    if task is None or threading.current_thread() is not threading.main_thread():
        return

    def interrupted() -> None:
        loop.remove_signal_handler(signal.SIGINT)  # from now on Python's own handler
        task.cancel()

    loop.add_signal_handler(signal.SIGINT, interrupted)
