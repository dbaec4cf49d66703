"""The times that engines put before the lines of an output. Pure."""

import functools
from datetime import UTC, datetime, timedelta

DISORDER = timedelta(seconds=1)
"""How much older than the line before it a line may be.

Engines read each of the two streams in a thread of its own, which takes the time of a line and writes it a moment later.
"""


def in_utc(time: str) -> str:
    """Return an RFC 3339 time with its digits as they are, in the zone in which all times can be compared as text."""
    if time.endswith("Z"):
        return time
    whole, dot, fraction = time[:-6].partition(".")
    return f"{_second_in_utc(whole + time[-6:])}{dot}{fraction}Z"


@functools.lru_cache(maxsize=8)
def _second_in_utc(second: str) -> str:
    return f"{datetime.fromisoformat(second).astimezone(UTC):%Y-%m-%dT%H:%M:%S}"
