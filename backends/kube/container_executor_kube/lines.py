"""Kubernetes' log stream: lines that each begin with a time. Pure.

A log is in the order in which the node wrote it, and each reading brings it in that order. The times are not: containerd takes
the time of a line in one thread for the standard output and in another for the standard error, and writes it a moment later, so
that of two lines the younger may stand first (1.6.20: up to 77 of 10,000 lines of a program that writes to both in turns).

So a place in the log of a rank is its last line that was passed on, known by its time: what stands before that line in a stream
was passed on, what stands after it was not. The kubelet leaves out what is older than a stream's beginning line by line, so that
begins earlier by more than two lines can be out of order.

However long a line is, it bears one time at its start. The kubelet keeps it in pieces that have times of their own: a stream may
begin inside of a line that had begun before. So may the log itself: containerd ends a line where the node rotates, and its rest
begins the next file like a line (seen with containerd 1.6.20).
"""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

import attrs

from container_executor.line_times import DISORDER, in_utc
from container_executor.models import Gap, LogLine

PIECE = 16_384
"""Bytes of a line that are passed on without waiting for its end."""
WHOLE = -1
ROTATED = "the node had rotated the log before it was read, and may have cut a line in two"
_STAMP = re.compile(rb"\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:\d\d)")
_LONGEST_STAMP = 40
_LONGEST_WORDS = 300


@attrs.frozen
class Place:
    """A place in one rank's log. The start has no time. All times are in UTC, and of one length.

    Attributes:
        time: The time of the line that was passed on last.
        done: How many bytes of it were, WHOLE for all.
        latest: The latest time of all lines that were passed on.
    """

    time: str = ""
    done: int = WHOLE
    latest: str = attrs.Factory(lambda place: place.time, takes_self=True)

    def since(self) -> str:
        """Return the query that reads on from here. The kubelet cuts the time to its second, so lines come again."""
        if not self.time:
            return ""
        return f"&sinceTime={quote(f'{datetime.fromisoformat(self.time) - DISORDER:%Y-%m-%dT%H:%M:%SZ}')}"


@attrs.define(eq=False)
class Lines:
    """Turns one stream into lines, leaving out what was passed on before it was opened.

    Attributes:
        rank: Whose it is.
        place: How far it has been passed on.
        strange: What the stream held instead of lines: the kubelet reports its own trouble in the place of a log.
        anchored: It has come to our place, or beyond that where the node had rotated it away: from here on all is new.
    """

    rank: int
    place: Place
    strange: str = ""
    anchored: bool = attrs.Factory(lambda lines: not lines.place.time, takes_self=True)
    _head: bytes = b""
    _inside: bool = False
    _begun: bool = False
    _rest: bytes = b""
    _time: str = ""
    _at: int = 0
    _known: int = 0

    def feed(self, data: bytes) -> tuple[list[LogLine], Gap | None]:
        """Take what has arrived and return what is new in it, and a gap before it if the log does not reach back so far."""
        self._rest += data
        lines: list[LogLine] = []
        gap: Gap | None = None
        while self._rest and not self.strange:
            if not self._time:
                if not self._stamp():
                    break
                gap = self._reach() or gap
            if not self._piece(lines):
                break
        return lines, gap

    def finish(self) -> list[LogLine]:
        """Return the last line, which has no newline, where the stream has ended."""
        lines: list[LogLine] = []
        if self._head and not self._begun:
            self.strange = _words(self._head)
        if self._time and self._rest and not self.strange:
            self._pass_on(self._rest, lines, whole=False)
            self._rest = b""
        return lines

    def _stamp(self) -> bool:
        """Take the time at the start of a line; False where it has not arrived yet."""
        if self._inside and not self._leave_line():
            return False
        stamp, space, rest = self._rest.partition(b" ")
        if space and _STAMP.fullmatch(stamp):
            self._time, self._at, self._rest, self._begun = in_utc(stamp.decode()), 0, rest, True
            return True
        if not (space or len(self._rest) > _LONGEST_STAMP or b"\n" in self._rest):
            return False
        if self.place.time and not (self._begun or self._head):
            self._head, self._inside = self._rest[:_LONGEST_WORDS], True
            return self._stamp()
        self.strange = _words(self._head or self._rest)
        return False

    def _leave_line(self) -> bool:
        """Drop the rest of the line that the stream began in, which was passed on long ago; False where more of it will come."""
        _, newline, self._rest = self._rest.partition(b"\n")
        self._inside = not newline
        return bool(newline)

    def _reach(self) -> Gap | None:
        """Note how many bytes of the line that begins were passed on, WHOLE for all; return a gap that is before it."""
        if self.anchored:
            self._known = 0
            return None
        self._known = WHOLE
        if self._time == self.place.time:
            self.anchored, self._known = True, self.place.done
        elif self._time > self.place.latest:
            self.anchored, self._known = True, 0
            return Gap(self.rank, before=0, reason=ROTATED)
        return None

    def _piece(self, lines: list[LogLine]) -> bool:
        """Pass on a line, or a piece of a long one; False where more of it must arrive first."""
        text, newline, rest = self._rest.partition(b"\n")
        if not newline and len(text) < PIECE:
            return False
        self._pass_on(text, lines, whole=bool(newline))
        self._rest = rest
        if newline:
            self._time = ""
        return True

    def _pass_on(self, text: bytes, lines: list[LogLine], *, whole: bool) -> None:
        new = text[max(0, self._known - self._at) :]
        self._at += len(text)
        if self._known == WHOLE or (not new and not whole):
            return
        self.place = Place(self._time, WHOLE if whole else self._at, max(self.place.latest, self._time))
        lines.append(LogLine(self.rank, None, new, whole))


def _words(data: bytes) -> str:
    return data[:_LONGEST_WORDS].decode("utf-8", "replace").strip()


def parse_cursor(cursor: str, ranks: int) -> list[Place]:
    """Return the place of each rank."""
    places: Mapping[str, Sequence[Any]] = json.loads(cursor) if cursor else {}
    return [Place(*places.get(str(rank), ())) for rank in range(ranks)]


def format_cursor(places: Sequence[Place]) -> str:
    """Return the cursor of all ranks, "" at the start of all."""
    moved = {str(rank): attrs.astuple(place) for rank, place in enumerate(places) if place.time}
    return json.dumps(moved, separators=(",", ":")) if moved else ""
