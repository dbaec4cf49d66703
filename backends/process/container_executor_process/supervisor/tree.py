"""The programs below the supervisor, whatever sessions and groups they made."""

import contextlib
import os
import signal
from collections.abc import Callable, Collection, Iterator

_LISTS_CHILDREN = os.path.exists(f"/proc/self/task/{os.getpid()}/children")
"""Kernels built without CONFIG_PROC_CHILDREN lack the file."""

_PASSES = 50


def children(pid: int) -> list[int]:
    """Return the direct children of a program, in no order."""
    return _listed_children(pid) if _LISTS_CHILDREN else [child for child, parent in _parents() if parent == pid]


def _listed_children(pid: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            found += map(int, _read(f"/proc/{pid}/task/{thread}/children").split())
    return found


def _parents() -> Iterator[tuple[int, int]]:
    for entry in os.listdir("/proc"):
        stat = _read(f"/proc/{entry}/stat") if entry.isdigit() else b""
        if stat:
            yield int(entry), int(stat.rpartition(b")")[2].split()[1])  # proc(5): pid (comm) state ppid


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return b""


def descendants(roots: Collection[int]) -> set[int]:
    """Return *roots* and all programs below them."""
    found: set[int] = set()
    waiting = list(roots)
    while waiting:
        pid = waiting.pop()
        if pid not in found:
            found.add(pid)
            waiting += children(pid)
    return found


def terminate(pids: Collection[int]) -> None:
    """Send TERM to programs and wake those that are stopped, so that they see it."""
    for pid in pids:
        send(pid, signal.SIGTERM)
        send(pid, signal.SIGCONT)


def kill(roots: Callable[[], Collection[int]]) -> None:
    """Send KILL to all programs below *roots*.

    They are stopped first, until a look finds no new one: programs that fork faster than they can be counted do not get
    away.
    """
    stopped: set[int] = set()
    for _ in range(_PASSES):
        fresh = descendants(roots()) - stopped
        if not fresh:
            break
        for pid in fresh:
            send(pid, signal.SIGSTOP)
        stopped |= fresh
    for pid in stopped:
        send(pid, signal.SIGKILL)


def send(pid: int, number: int) -> None:
    """Send a signal to a program that may have ended, or that changed its user."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def variables(pid: int) -> dict[bytes, bytes]:
    """Return the environment that a program started with, empty where it may not be read or has ended."""
    pairs = (entry.partition(b"=") for entry in _read(f"/proc/{pid}/environ").split(b"\0"))
    return {name: value for name, _, value in pairs}


def session(pid: int) -> int | None:
    """Return the session of a program, or None where it has ended."""
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return None
