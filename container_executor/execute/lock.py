"""The lock of a state directory: one daemon at a time, let go by the kernel when that daemon ends in whatever way."""

import fcntl
import os
from pathlib import Path

LOCK = "lock"


def take(folder: Path) -> int:
    """Lock *folder*, which is made if it is missing, and return the descriptor that holds the lock.

    Raises:
        BlockingIOError: Another daemon has it.
        OSError: The directory cannot be used.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise
    return lock


def holder(folder: Path) -> int:
    """Return the process id of the daemon that has *folder*, 0 where none has as far as the kernel tells (proc(5), locks)."""
    try:
        inode = (folder / LOCK).stat().st_ino
        locks = [line.split() for line in Path("/proc/locks").read_text(encoding="ascii").splitlines()]
    except OSError:
        return 0
    held = [lock for lock in locks if lock[1] == "FLOCK" and lock[5].endswith(f":{inode}")]
    return int(held[0][4]) if held else 0
