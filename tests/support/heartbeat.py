"""A program that leaves its heartbeat in a file, so that a test sees when which copy of it ran."""

from itertools import pairwise
from pathlib import Path

import attrs


@attrs.frozen
class Run:
    """One copy of the program: its first and its last heartbeat, in seconds since 1970."""

    pid: int
    first: float
    last: float


def heartbeat(file: Path, seconds: float = 60) -> str:
    """Return a shell line that runs for about *seconds* and beats five times a second."""
    return f"for i in $(seq {round(seconds * 5)}); do echo $$ $(date +%s.%N) >> {file}; sleep 0.2; done"


def runs(file: Path) -> list[Run]:
    """Return the copies that ran, in the order of their starts."""
    beats: dict[int, list[float]] = {}
    for line in file.read_text().splitlines() if file.exists() else ():
        pid, *moment = line.split()
        beats.setdefault(int(pid), []).extend(map(float, moment))  # none where the signal that ended it ended ``date``
    beats = {pid: moments for pid, moments in beats.items() if moments}
    found = [Run(pid, min(moments), max(moments)) for pid, moments in beats.items()]
    return sorted(found, key=lambda run: run.first)


def beating(file: Path) -> bool:
    """Return whether a copy has begun."""
    return bool(runs(file))


def one_after_another(file: Path) -> bool:
    """Return whether no two copies ever ran at once."""
    return all(earlier.last < later.first for earlier, later in pairwise(runs(file)))
