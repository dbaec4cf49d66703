"""Times: nanoseconds since 1970 in the database, RFC 3339 in UTC on the wire."""

import functools
import time

SECOND = 1_000_000_000
DAY = 86_400 * SECOND
UNSET = "0001-01-01T00:00:00Z"
"""How the wire shows a time that has not come; the database holds 0."""

LATEST = 2**63 - 1
"""The last time that 64 bits can hold, in the year 2262."""


def rfc3339(ns: int) -> str:
    """Write a time as Go does: up to nine fractional digits, trailing zeros dropped."""
    if ns == 0:
        return UNSET
    seconds, fraction = divmod(ns, SECOND)
    digits = f"{fraction:09d}".rstrip("0")
    return f"{_whole(seconds)}.{digits}Z" if digits else f"{_whole(seconds)}Z"


@functools.lru_cache(maxsize=256)
def _whole(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def after(start: int, seconds: int) -> int:
    """Return the time so many seconds after *start*, at most ``LATEST``."""
    return min(start + seconds * SECOND, LATEST)
