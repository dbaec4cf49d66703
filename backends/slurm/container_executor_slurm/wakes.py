"""Watches the folder in which the nodes leave a trace of every change, by its modification time."""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from threading import Event

_PAUSE = 0.05
"""Seconds between two looks, each one call to the file system. Its notifications do not tell what other nodes do."""


def watch(folder: Path, wake: Callable[[str], None], stop: Event) -> None:
    """Call *wake* with the job id of every change after the call, until *stop* is set."""
    looked, seen = _modified(folder), _traces(folder)
    while not stop.wait(_PAUSE):
        now = _modified(folder)
        if now == looked:
            continue
        looked, before, seen = now, seen, _traces(folder)
        for job_id, left in seen.items():
            if before.get(job_id) != left:
                wake(job_id)


def _modified(folder: Path) -> int:
    with contextlib.suppress(OSError):
        return folder.stat().st_mtime_ns
    return 0


def _traces(folder: Path) -> dict[str, int]:
    """Return when each trace was left; one that is being written has a dot in its name, and no job id has."""
    traces = {}
    with contextlib.suppress(OSError):
        for entry in os.scandir(folder):
            with contextlib.suppress(OSError):
                if "." not in entry.name:
                    traces[entry.name] = entry.stat().st_mtime_ns
    return traces
