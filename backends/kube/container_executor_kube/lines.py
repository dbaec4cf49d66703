"""Kubernetes' log stream: lines that each begin with a time. Pure.

A place in the log of a rank is the time of the line that was passed on last and how much of it was. The times are strictly
increasing within a container, and however long a line is, it bears one time at its start. The kubelet keeps it in pieces that have
times of their own: a stream that is to begin at some second may begin inside of a line that had begun before. So may the log
itself: containerd ends a line where the node rotates, and its rest begins the next file like a line (seen with containerd 1.6.20).
"""

import json
import re
from collections.abc import Mapping, Sequence
from urllib.parse import quote

import attrs

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
    """A place in one rank's log: *done* bytes of the line of *time* were passed on, WHOLE for all. The start has no time."""

    time: str = ""
    done: int = WHOLE

    def since(self) -> str:
        """Return the query that reads on from here. The kubelet cuts the time to its second, so lines come again."""
        return f"&sinceTime={quote(self.time)}" if self.time else ""


@attrs.define(eq=False)
class Lines:
    """Turns one stream into lines, leaving out what was passed on before it was opened.

    Attributes:
        rank: Whose it is.
        place: How far it has been passed on.
        strange: What the stream held instead of lines: the kubelet reports its own trouble in the place of a log.
        anchored: It has brought a line; the first is one that was passed on before, unless the node had rotated that away.
    """

    rank: int
    place: Place
    strange: str = ""
    anchored: bool = False
    _head: bytes = b""
    _inside: bool = False
    _rest: bytes = b""
    _time: str = ""
    _at: int = 0

    def feed(self, data: bytes) -> tuple[list[LogLine], Gap | None]:
        """Take what has arrived and return what is new in it, and a gap before it if the log does not reach back so far."""
        self._rest += data
        lines: list[LogLine] = []
        gap: Gap | None = None
        while self._rest and not self.strange and (self._time or self._stamp()):
            gap = gap or self._anchor()
            if not self._piece(lines):
                break
        return lines, gap

    def finish(self) -> list[LogLine]:
        """Return the last line, which has no newline, where the stream has ended."""
        lines: list[LogLine] = []
        if self._head and not self.anchored:
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
            self._time, self._at, self._rest = stamp.decode(), 0, rest
            return True
        if not (space or len(self._rest) > _LONGEST_STAMP or b"\n" in self._rest):
            return False
        if self.place.time and not (self.anchored or self._head):
            self._head, self._inside = self._rest[:_LONGEST_WORDS], True
            return self._stamp()
        self.strange = _words(self._head or self._rest)
        return False

    def _leave_line(self) -> bool:
        """Drop the rest of the line that the stream began in, which was passed on long ago; False where more of it will come."""
        _, newline, self._rest = self._rest.partition(b"\n")
        self._inside = not newline
        return bool(newline)

    def _anchor(self) -> Gap | None:
        """Look, at the first line, whether the log still reaches back to our place."""
        if self.anchored:
            return None
        self.anchored = True
        if self.place.time and self._time > self.place.time:
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
        new = self._new(text)
        self._at += len(text)
        if new is None or (not new and not whole):
            return
        self.place = Place(self._time, WHOLE if whole else self._at)
        lines.append(LogLine(self.rank, None, new, whole))

    def _new(self, text: bytes) -> bytes | None:
        """Return what of *text* is new, None where the whole line was passed on before."""
        if self._time > self.place.time:
            return text
        if self._time < self.place.time or self.place.done == WHOLE:
            return None
        return text[max(0, self.place.done - self._at) :]


def _words(data: bytes) -> str:
    return data[:_LONGEST_WORDS].decode("utf-8", "replace").strip()


def parse_cursor(cursor: str, ranks: int) -> list[Place]:
    """Return the place of each rank."""
    places: Mapping[str, Sequence[object]] = json.loads(cursor) if cursor else {}
    found = [places.get(str(rank), ("", WHOLE)) for rank in range(ranks)]
    return [Place(str(time), int(str(done))) for time, done in found]


def format_cursor(places: Sequence[Place]) -> str:
    """Return the cursor of all ranks, "" at the start of all."""
    moved = {str(rank): [place.time, place.done] for rank, place in enumerate(places) if place.time}
    return json.dumps(moved, separators=(",", ":")) if moved else ""
