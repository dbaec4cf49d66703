"""The spool's keeper with one fault: ``python -m tests.mutants.broken_keeper FAULT DIRECTORY``."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from container_executor_spool import keeper

_descendants = keeper.descendants
_send = keeper.send
_BEGAN = time.monotonic()


def children_only(parent: int) -> Iterator[int]:
    """Find only the direct children of the keeper."""
    return (found for found in _descendants(parent) if _field(found, 1) == parent)


def session_only(parent: int) -> Iterator[int]:
    """Find only those that stayed in the session of the keeper."""
    return (found for found in _descendants(parent) if _field(found, 3) == os.getsid(0))


def _field(program: int, number: int) -> int:
    try:
        return int(Path(f"/proc/{program}/stat").read_text().rpartition(")")[2].split()[number])
    except OSError:
        return -1


def kill_at_once(programs: Iterator[int] | list[int], _number: signal.Signals) -> None:
    """Kill whatever was asked for."""
    _send(list(programs), signal.SIGKILL)


def never_kill(programs: Iterator[int] | list[int], _number: signal.Signals) -> None:
    """Ask politely whatever was asked for; long after the case is over kill, so that the test leaves nothing behind."""
    late = time.monotonic() - _BEGAN > 40
    _send(list(programs), signal.SIGKILL if late else signal.SIGTERM)


def leave_the_rest(place: Path, order: Mapping[str, Any]) -> None:
    """Record the end of the program and leave what it started."""
    program = keeper.start(place, order)
    failure = keeper.watch(place, order, program)
    keeper.record(place, 128 - program.returncode if program.returncode < 0 else program.returncode, failure)


def main() -> None:
    """Break the keeper and be it."""
    fault = sys.argv.pop(1)
    if fault == "children_only":  # what it misses would be found when the program has ended
        keeper.keep = leave_the_rest
    places: dict[str, tuple[object, str, Callable[..., object] | int]] = {
        "children_only": (keeper, "descendants", children_only),
        "session_only": (keeper, "descendants", session_only),
        "kill_at_once": (keeper, "send", kill_at_once),
        "never_kill": (keeper, "send", never_kill),
        "leave_the_rest": (keeper, "keep", leave_the_rest),
        "open_input": (subprocess, "DEVNULL", subprocess.PIPE),
    }
    setattr(*places[fault])
    keeper.main()


if __name__ == "__main__":
    main()
