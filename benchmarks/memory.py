"""Gives each program the same memory: free, and used before.

A page that a virtual machine uses for the first time, or again after it gave it back, has to be found by the host: half a millisecond per MiB here,
which made bringing 1 GB down take 0.9 to 1.2 s, depending on what the kernel had given back while it ran. Where the kernel lets one say how long it keeps free
memory (``min_free_ms`` and ``max_waiting_mib`` of its free page reporting; not every kernel has them), it keeps it during a run.
"""

import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

_REPORTING = Path("/sys/module/page_reporting/parameters")
_KEPT = {"min_free_ms": 300_000, "max_waiting_mib": 2**20}
_FULL = 2**29
"""Bytes that are free where all is used: the kernel keeps some for itself."""
_PIECE = 2**24


@contextmanager
def kept() -> Iterator[None]:
    """Have the kernel keep free memory during the block, for five minutes each time."""
    with ExitStack() as afterwards:
        for name, value in _KEPT.items():
            with suppress(OSError):  # there is none such, or we are not root
                before = (_REPORTING / name).read_text()
                (_REPORTING / name).write_text(str(value))
                afterwards.callback((_REPORTING / name).write_text, before)
        yield


def use_all(folder: Path) -> None:
    """Use all memory that is free, and free it: by the page cache of a file in *folder* that has holes only, which costs no disk."""
    piece, size = bytearray(_PIECE), _bytes("MemTotal")
    with (folder / "holes").open("w+b", buffering=0) as file:
        file.truncate(size)
        for at in range(0, size, _PIECE):
            if _bytes("MemFree") <= _FULL:
                break
            os.preadv(file.fileno(), [piece], at)
        file.truncate(0)


def _bytes(name: str) -> int:
    """Return a number of the kernel's (proc(5), meminfo)."""
    found = re.search(rf"^{name}:\s+(\d+) kB$", Path("/proc/meminfo").read_text(), re.MULTILINE)
    assert found, name
    return int(found[1]) * 1024
