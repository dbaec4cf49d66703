"""The server's clock, as its answers tell it, and the times it writes."""

import functools
import re
import time
from datetime import UTC, datetime, timedelta

import attrs

_RESOLUTION = 1.0  # seconds: a Date header has whole seconds, cut off
_LATEST_YEAR = 9000  # a later one would overflow when it is carried on
_DATE = re.compile(
    r"\w{3}, (?P<day>\d\d) (?P<month>\w{3}) (?P<year>\d{4}) (?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d) GMT",
    re.ASCII,
)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def boot_time() -> float:
    """Return seconds since boot, time asleep included; no clock step changes it."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def parse_time(text: str) -> datetime | None:
    """Parse a server's time into UTC; None where it is not set.

    Go's zero time is the year 1 in UTC. A server in another time zone writes it with that zone's historic offset, east of
    Greenwich as ``0001-01-01T01:12:12+01:12`` and west of it as ``0000-12-31T19:03:58-04:56``.

    Raises:
        ValueError: The text is no time.
    """
    if not text or text.startswith(("0000-", "0001-")):
        return None
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text[:40]} has no time zone")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{text[:40]} is out of range") from None


@attrs.define(eq=False)
class ServerClock:
    """Reckons the server's time between answers, carried on by the boot clock.

    Each answer bounds the difference between the two clocks: the server wrote its Date between the moments of sending and
    of receiving. The bounds of all answers together are much narrower than a second. When they contradict each other, a
    clock was set, and the newest answer alone counts.
    """

    _low: float = float("-inf")
    _high: float = float("inf")

    @property
    def known(self) -> bool:
        """True once an answer with a usable Date was seen."""
        return self._low > float("-inf")

    def saw(self, date: str, sent: float, received: float) -> None:
        """Note the Date header of an answer; *sent* and *received* are boot times. An unusable Date is ignored."""
        stamp = _stamp(date)
        if stamp is None:
            return
        low, high = stamp - received, stamp + _RESOLUTION - sent
        if max(low, self._low) <= min(high, self._high):
            low, high = max(low, self._low), min(high, self._high)
        self._low, self._high = low, high

    def now(self) -> datetime:
        """Return the server's time; the local clock's as long as no answer came."""
        if not self.known:
            return datetime.now(UTC)
        return datetime.fromtimestamp(0, UTC) + timedelta(seconds=boot_time() + (self._low + self._high) / 2)


@functools.lru_cache(maxsize=1)
def _stamp(date: str) -> float | None:
    """Return what a Date header says, which has one form only (IMF-fixdate: RFC 9110, 5.6.7), in seconds since 1970."""
    found = _DATE.fullmatch(date)
    if found is None or found["month"] not in _MONTHS:
        return None
    day, year, hour, minute, second = (int(found[name]) for name in ("day", "year", "hour", "minute", "second"))
    try:
        moment = datetime(year, 1 + _MONTHS.index(found["month"]), day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
    return moment.timestamp() if year < _LATEST_YEAR else None
