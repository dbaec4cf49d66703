"""Docker's log stream: frames of eight bytes of header and a payload that begins with a time. Pure.

A line longer than 16 KiB comes as several frames that all bear the time of the first (dockerd, daemon/logger/copier.go), and
dockerd's driver ``local`` loses the newline after them: the next time on the same stream shows that there was one. Podman keeps
the newline, gives each piece a time of its own, tells times in the engine's zone, and of old in whole seconds only.

A place in the log of a rank is the time of a frame that no older one follows, and how many frames from there on were passed on.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import attrs

from container_executor.models import Gap, LogLine

HEADER = 8
_STREAMS = {0: "out", 1: "out", 2: "err"}
_FAULT = 3
"""A frame with dockerd's words of why it can read no further, without a time (dockerd, pkg/stdcopy: ``Systemerr``)."""


@attrs.frozen
class Place:
    """A place in one rank's log. The start is no time at all.

    Attributes:
        since: Time of the frame that reading anew begins with.
        count: Frames from that time on that were passed on.
        last: The youngest time that was passed on.
        unfinished: By stream, the time of a line whose newline has not come.
    """

    since: str = ""
    count: int = 0
    last: str = ""
    unfinished: Mapping[str, str] = attrs.field(factory=dict)

    def query(self) -> str:
        """Return the place as Docker's ``since``, which includes the moment itself."""
        if not self.since:
            return "0"
        whole, _, fraction = self.since.rstrip("Z").partition(".")
        return f"{_seconds(whole)}.{fraction:0<9}"


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
    return Frame(_utc(time.decode("ascii", "replace")), line)


def _utc(time: str) -> str:
    """Return a time with its digits as they are, in the zone in which all times can be compared."""
    if time.endswith("Z"):
        return time
    whole, dot, fraction = time[:-6].partition(".")
    return f"{datetime.fromisoformat(whole + time[-6:]).astimezone(UTC):%Y-%m-%dT%H:%M:%S}{dot}{fraction}Z"


@attrs.frozen
class Skip:
    """What must be left out after a stream was opened anew at *place*: *left* more frames."""

    place: Place
    left: int = 0

    @classmethod
    def to(cls, place: Place) -> "Skip":
        """Return what leads from the time of *place* to the place itself."""
        return cls(place, place.count)


def leave_out(frames: Sequence[Frame], skip: Skip) -> tuple[list[Frame], Skip, Gap | None]:
    """Leave out the frames that were passed on before, and return what is still to be left out.

    Where the first frame is younger than the place, Docker has rotated the place out: that is a gap.
    """
    if not frames or not skip.left:
        return list(frames), skip, None
    if skip.left == skip.place.count and frames[0].time > skip.place.since:
        gap = Gap(frames[0].line.rank, before=0, reason="Docker had rotated the log before it was read")
        return [frame for frame in frames if frame.time > skip.place.last], Skip(skip.place), gap
    seen = min(len(frames), skip.left)
    return list(frames[seen:]), Skip(skip.place, skip.left - seen), None


def pass_on(place: Place, frames: Sequence[Frame], *, mend: bool) -> tuple[list[LogLine], Place]:
    """Return the lines of *frames*, newlines that were lost among them (*mend*), and the place after them."""
    lines: list[LogLine] = []
    since, count, last, unfinished = place.since, place.count, place.last, dict(place.unfinished)
    for frame in frames:
        line, stream = frame.line, frame.line.stream or ""
        if mend and unfinished.get(stream, frame.time) != frame.time:
            del unfinished[stream]
            lines.append(LogLine(line.rank, line.stream, b""))
        if frame.time > last and not unfinished:
            since, count = frame.time, 0
        count += frame.time >= since
        last = max(last, frame.time)
        lines.append(line)
        if line.complete:
            unfinished.pop(stream, None)
        else:
            unfinished[stream] = frame.time
    return lines, Place(since, count, last, unfinished)


def parse_cursor(cursor: str, ranks: int) -> list[Place]:
    """Return the place of each rank."""
    places: Mapping[str, Sequence[Any]] = json.loads(cursor) if cursor else {}
    return [Place(*places.get(str(rank), ())) for rank in range(ranks)]


def format_cursor(places: Sequence[Place]) -> str:
    """Return the cursor of all ranks, "" at the start of all."""
    moved = {
        str(rank): [place.since, place.count, place.last, dict(place.unfinished)]
        for rank, place in enumerate(places)
        if place.since
    }
    return json.dumps(moved, separators=(",", ":")) if moved else ""


def _seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())
