"""Gives each program the same memory: free, and used before.

A page that a virtual machine uses for the first time, or again after it gave it back, has to be found by the host. Copying 2 GB into such pages
took MinIO up to 5 s here instead of 1, depending on what had run before, and hid what was to be measured. On a machine of its own there are none.
"""

import os
import re
import time
from pathlib import Path

_FULL = 2**28
"""Bytes that are free where all is used: the kernel keeps some for itself."""
FREE = 3 * 2**30
"""Bytes that each program finds free."""
_PIECE = 2**24
_GIVEN_BACK = 2.5
"""Seconds after which the kernel has given back what was freed before (``PAGE_REPORTING_DELAY`` in its page_reporting.c is two): what is freed then, it
gives back two seconds later at the earliest."""


class Memory:
    """The memory of this machine, used by the page cache of a file that has holes only: it costs no disk."""

    def __init__(self, folder: Path) -> None:
        """Make the file in a folder, which removes it."""
        self._size = _bytes("MemTotal")
        self._file = (folder / "holes").open("w+b", buffering=0)
        self._file.truncate(self._size)
        self._at = 0

    def prepare(self) -> None:
        """Use all of it, and free some."""
        piece = bytearray(_PIECE)
        for _ in range(0, self._size, _PIECE):
            if _bytes("MemFree") <= _FULL:
                break
            self._at = (self._at + _PIECE) % self._size
            os.preadv(self._file.fileno(), [piece], self._at)
        time.sleep(_GIVEN_BACK)
        for _ in range(0, self._size, _PIECE):
            if _bytes("MemFree") >= FREE:
                break
            os.posix_fadvise(self._file.fileno(), self._at, _PIECE, os.POSIX_FADV_DONTNEED)
            self._at = (self._at - _PIECE) % self._size


def _bytes(name: str) -> int:
    """Return a number of the kernel's (proc(5), meminfo)."""
    found = re.search(rf"^{name}:\s+(\d+) kB$", Path("/proc/meminfo").read_text(), re.MULTILINE)
    assert found, name
    return int(found[1]) * 1024
