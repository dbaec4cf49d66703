"""Docker's log stream: frames of eight bytes of header and a payload that begins with a time. Pure.

A place in the log of a rank is the time of the last frame that was passed on and how many frames with that time were. A line
longer than 16 KiB comes as several frames that each bear the same time (dockerd's local driver), so the place stays exact.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import attrs

from container_executor.models import Gap, LogLine

HEADER = 8
_STREAMS = {0: "out", 1: "out", 2: "err"}


@attrs.frozen
class Place:
    """A place in one rank's log: *count* frames of time *time* have been passed on. The start is no time at all."""

    time: str = ""
    count: int = 0

    def since(self) -> str:
        """Return the place as Docker's ``since``, which includes the moment itself."""
        if not self.time:
            return "0"
        whole, _, fraction = self.time.rstrip("Z").partition(".")
        return f"{_seconds(whole)}.{fraction:0<9}"


@attrs.frozen
class Frame:
    """One frame: a line, or a piece of one."""

    time: str
    line: LogLine
    size: int


def split(data: bytes, rank: int) -> tuple[list[Frame], bytes]:
    """Return the whole frames at the start of *data*, and the rest."""
    frames, at = [], 0
    while len(data) - at >= HEADER:
        size = int.from_bytes(data[at + 4 : at + HEADER], "big")
        end = at + HEADER + size
        if end > len(data):
            break
        frames.append(_frame(data[at], data[at + HEADER : end], rank, HEADER + size))
        at = end
    return frames, data[at:]


def _frame(kind: int, payload: bytes, rank: int, size: int) -> Frame:
    time, _, text = payload.partition(b" ")
    complete = text.endswith(b"\n")
    line = LogLine(rank, _STREAMS.get(kind), text[:-1] if complete else text, complete)
    return Frame(time.decode("ascii", "replace"), line, size)


@attrs.frozen
class Skip:
    """What must be left out after a stream was opened anew: *left* more frames of time *time*."""

    time: str = ""
    left: int = 0
    untouched: bool = True

    @classmethod
    def to(cls, place: Place) -> "Skip":
        """Return what leads from the moment of *place* to the place itself."""
        return cls(place.time, place.count)


def leave_out(frames: Sequence[Frame], skip: Skip) -> tuple[list[Frame], Skip, Gap | None]:
    """Leave out the frames that were passed on before, and return what is still to be left out.

    Where the first frame is younger than the place, Docker has rotated the place out: that is a gap.
    """
    if not frames or not skip.left:
        return list(frames), skip, None
    if skip.untouched and frames[0].time > skip.time:
        gap = Gap(frames[0].line.rank, before=0, reason="Docker had rotated the log before it was read")
        return list(frames), Skip(), gap
    seen = 0
    while seen < min(len(frames), skip.left) and frames[seen].time == skip.time:
        seen += 1
    left = skip.left - seen if seen == len(frames) else 0
    return list(frames[seen:]), Skip(skip.time, left, untouched=False), None


def advance(place: Place, frames: Sequence[Frame]) -> Place:
    """Return the place after *frames*."""
    for frame in frames:
        place = Place(frame.time, place.count + 1 if frame.time == place.time else 1)
    return place


def parse_cursor(cursor: str, ranks: int) -> list[Place]:
    """Return the place of each rank."""
    places: Mapping[str, Sequence[object]] = json.loads(cursor) if cursor else {}
    found = [places.get(str(rank), ("", 0)) for rank in range(ranks)]
    return [Place(str(time), int(str(count))) for time, count in found]


def format_cursor(places: Sequence[Place]) -> str:
    """Return the cursor of all ranks, "" at the start of all."""
    moved = {str(rank): [place.time, place.count] for rank, place in enumerate(places) if place.time}
    return json.dumps(moved, separators=(",", ":")) if moved else ""


def _seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())
