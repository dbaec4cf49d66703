"""Waits that end: for a condition, with a deadline, and with the engine's last words when it is missed."""

import time
from collections.abc import Callable
from pathlib import Path

from common.report import EngineError

TAIL_LINES = 25


def until(what: str, holds: Callable[[], bool], *, seconds: float, every: float = 0.05, log: Path | None = None) -> None:
    """Return once *holds*, asked *every* so many seconds, is true.

    Raises:
        EngineError: not within *seconds*; quotes the end of *log*.
    """
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise EngineError(f"{what} did not come true within {seconds:g} s{tail(log)}")
        time.sleep(every)


def tail(log: Path | None) -> str:
    """Return the last lines of *log* as the end of a message."""
    if log is None or not log.exists():
        return ""
    lines = log.read_text(errors="replace").splitlines()[-TAIL_LINES:]
    return "\n".join([f"; the end of {log}:", *lines])
