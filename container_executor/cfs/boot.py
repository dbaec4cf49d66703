"""Which run of the machine this is: what was in its memory alone is gone in the next."""

from functools import cache
from pathlib import Path

_ID = Path("/proc/sys/kernel/random/boot_id")


@cache
def boot() -> bytes:
    """Return what tells this run of the machine from all others (random(4)), b"" where it cannot be known."""
    try:
        return bytes.fromhex(_ID.read_text().replace("-", ""))
    except (OSError, ValueError):
        return b""
