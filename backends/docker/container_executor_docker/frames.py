"""Docker's log stream: frames of eight bytes of header and a payload that begins with a time. Pure.

A line longer than 16 KiB comes as several frames that all bear the time of the first (dockerd, daemon/logger/copier.go), and
dockerd's driver ``local`` loses the newline after them: the next time on the same stream shows that there was one. Podman keeps
the newline, gives each piece a time of its own, tells times in the engine's zone, and of old in whole seconds only.

Each stream of output is read in a thread of dockerd's own, which takes the time of a line and writes it a moment later: in the log,
which has an order that stays, an older frame of one stream may follow a younger one of the other (20.10). So a place in the log of
a rank is the frame that was passed on last: what stands before it was passed on, what stands after it was not. The engine leaves
out what is older than the beginning of a reading frame by frame, so that is earlier by more than two frames can be out of order.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import attrs

from container_executor.line_times import in_utc
from container_executor.models import Gap, LogLine

HEADER = 8
_STREAMS = {0: "out", 1: "out", 2: "err"}
_FAULT = 3
"""A frame with dockerd's words of why it can read no further, without a time (dockerd, pkg/stdcopy: ``Systemerr``)."""


class Last(NamedTuple):
    """The last frame of one stream that was passed on: its time, the how manieth of that time it is, and whether it ended a line."""

    time: str
    nth: int
    whole: bool


@attrs.frozen
class Place:
    """A place in one rank's log. The start has no frames.

    Attributes:
        stream: The stream of the frame that was passed on last.
        frames: The last frame of each stream.
        latest: The latest time that was passed on.
    """

    stream: str = ""
    frames: Mapping[str, Last] = attrs.field(factory=dict)
    latest: str = ""

    def query(self, disorder: timedelta) -> str:
        """Return what a reading begins with that finds the place, as Docker's ``since``, which includes the moment itself."""
        if not self.frames:
            return "0"
        needed = [last.time for stream, last in self.frames.items() if stream == self.stream or not last.whole]
        whole, _, fraction = min(needed).rstrip("Z").partition(".")
        return f"{_seconds(whole) - int(disorder.total_seconds())}.{fraction:0<9}"


_NONE = Last("", 0, whole=True)


class Frame(NamedTuple):
    """One frame: a line, or a piece of one. There are millions of them: a tuple costs a third of what an attrs value does."""

    time: str
    line: LogLine


def split(data: bytes, rank: int) -> tuple[list[Frame], bytes]:
    """Return the whole frames at the start of *data*, and the rest. One that tells of a fault, and all after it, stay in the rest."""
    frames, at = [], 0
    while len(data) - at >= HEADER and data[at] != _FAULT:
        size = int.from_bytes(data[at + 4 : at + HEADER], "big")
        end = at + HEADER + size
        if end > len(data):
            break
        frames.append(_frame(data[at], data[at + HEADER : end], rank))
        at = end
    return frames, data[at:]


def _frame(kind: int, payload: bytes, rank: int) -> Frame:
    time, _, text = payload.partition(b" ")
    complete = text.endswith(b"\n")
    line = LogLine(rank, _STREAMS.get(kind), text[:-1] if complete else text, complete)
    return Frame(in_utc(time.decode("ascii", "replace")), line)


@attrs.frozen
class Skip:
    """What must be left out after a stream was opened anew: all up to *left* more frames of the stream and time of *place*."""

    place: Place
    left: int = 0

    @classmethod
    def to(cls, place: Place) -> "Skip":
        """Return what leads from the beginning of a reading to *place*."""
        return cls(place, place.frames[place.stream].nth if place.frames else 0)


def leave_out(frames: Sequence[Frame], skip: Skip) -> tuple[list[Frame], Skip, Gap | None]:
    """Leave out the frames that were passed on before, and return what is still to be left out.

    Where a frame is younger than all that were passed on and the place has not come, Docker has rotated it out: that is a gap.
    """
    place, left = skip.place, skip.left
    if not left:
        return list(frames), skip, None
    time = place.frames[place.stream].time
    for index, frame in enumerate(frames):
        if frame.time > place.latest:
            gap = Gap(frame.line.rank, before=0, reason="Docker had rotated the log before it was read")
            return list(frames[index:]), Skip(place), gap
        left -= frame.time == time and (frame.line.stream or "") == place.stream
        if not left:
            return list(frames[index + 1 :]), Skip(place), None
    return [], Skip(place, left), None


def pass_on(place: Place, frames: Sequence[Frame], *, mend: bool) -> tuple[list[LogLine], Place]:
    """Return the lines of *frames*, newlines that were lost among them (*mend*), and the place after them."""
    lines: list[LogLine] = []
    stream, lasts, latest = place.stream, dict(place.frames), place.latest
    for time, line in frames:
        stream = line.stream or ""
        last = lasts.get(stream, _NONE)
        if mend and not last.whole and last.time != time:
            lines.append(LogLine(line.rank, line.stream, b""))
        lasts[stream] = Last(time, last.nth + 1 if last.time == time else 1, line.complete)
        latest = max(latest, time)
        lines.append(line)
    return lines, Place(stream, lasts, latest)


def parse_cursor(cursor: str, ranks: int) -> list[Place]:
    """Return the place of each rank."""
    places: Mapping[str, Sequence[Any]] = json.loads(cursor) if cursor else {}
    return [_place(*places[str(rank)]) if str(rank) in places else Place() for rank in range(ranks)]


def _place(stream: str, frames: Mapping[str, Sequence[Any]], latest: str) -> Place:
    return Place(stream, {name: Last(*last) for name, last in frames.items()}, latest)


def format_cursor(places: Sequence[Place]) -> str:
    """Return the cursor of all ranks, "" at the start of all."""
    moved = {str(rank): [place.stream, place.frames, place.latest] for rank, place in enumerate(places) if place.frames}
    return json.dumps(moved, separators=(",", ":")) if moved else ""


def _seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())
