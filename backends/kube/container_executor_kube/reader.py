"""Reads the output of one job from the follow streams of its containers, from any place in it."""

import itertools
import threading
import time
from collections.abc import Callable, Mapping, Sequence

import attrs

from container_executor.models import Gap, Handle, LogChunk, LogLine
from container_executor.streams import Endpoint, Streams
from container_executor_kube.lines import ROTATED, Lines, Place, format_cursor, parse_cursor
from container_executor_kube.sources import Source

FIRST_SECONDS = 0.3
"""How long a stream that was just opened may take to bring what is there already."""
SKIP_SECONDS = 0.3
"""How long one reading may pass over what was passed on before. A burst of a second can be tens of megabytes."""
_COUNT = itertools.count()
"""Tells the streams of readers apart: two may read one job from different places."""
SETTLE = 0.5
"""Seconds after news of a program that has ended before it is read once more."""
TRIES = 5
"""Reads of the output of a program that has ended after which it counts as lost."""


@attrs.define(eq=False)
class RankReader:
    """One rank's output.

    Attributes:
        rank: Whose it is.
        key: Its stream's.
        place: How far it has been passed on.
        lines: What takes its stream apart, None while none is open.
        start: How far that was when the stream was opened.
        last: The stream was opened when the program had ended: one that brings nothing new is the end.
        news: When such a stream brought something last, on the monotonic clock.
        clean: A stream of it has come to an end of its own: all that was written by then has been passed on.
        failures: Reads of a program that has ended that brought no log.
        gap: What was lost, to be told with the next chunk.
        ended: Nothing more can come.
    """

    rank: int
    key: str
    place: Place
    lines: Lines | None = None
    start: Place = attrs.field(factory=Place)
    last: bool = False
    news: float = 0.0
    clean: bool = False
    failures: int = 0
    gap: Gap | None = None
    ended: bool = False


@attrs.define(eq=False)
class JobReader:
    """The output of all ranks of a job.

    Attributes:
        handle: The job.
        streams: Where the streams are followed.
        endpoint: Tells where they come from.
        path: Tells the path of a pod's log.
        look: Tells where each rank's output is; None where there is no such job.
        known_ended: Tells of a rank whether its program is known to have ended; asks nobody.
        on_data: Called when something arrived.
        ranks: One for each rank.
        lock: Held while it is read.
    """

    handle: Handle
    streams: Streams
    endpoint: Callable[[], Endpoint]
    path: Callable[[str], str]
    look: Callable[[], Mapping[int, Source] | None]
    known_ended: Callable[[int], bool]
    on_data: Callable[[], None]
    ranks: Sequence[RankReader]
    lock: threading.Lock = attrs.field(factory=threading.Lock)

    @property
    def cursor(self) -> str:
        """Where it has come to."""
        return format_cursor([rank.place for rank in self.ranks])

    def read(self, limit: int) -> LogChunk:
        """Return about *limit* bytes of what has arrived."""
        self._open_all()
        share = max(4096, limit // len(self.ranks))
        lines: list[LogLine] = []
        gaps: list[Gap] = []
        for rank in self.ranks:
            found, gap = self._read(rank, share)
            gaps += [attrs.evolve(gap, before=len(lines) + gap.before)] if gap else []
            lines += found
        end = not lines and all(rank.ended for rank in self.ranks)
        return LogChunk(tuple(lines), self.cursor, end, tuple(gaps))

    def close(self) -> None:
        """Follow no more."""
        for rank in self.ranks:
            self.streams.close(rank.key)

    def _open_all(self) -> None:
        waiting = [rank for rank in self.ranks if not rank.ended and rank.lines is None]
        if not waiting:
            return
        sources = self.look() or {}
        opened = [rank.key for rank in waiting if rank.rank in sources and self._open(rank, sources[rank.rank])]
        self._first_answers(opened)

    def _open(self, rank: RankReader, source: Source) -> bool:
        """Open a rank's stream and return True; or see that it has none."""
        if not source.pod or not source.begun:
            rank.ended = source.ended
            if source.lost and not rank.clean:
                rank.gap = Gap(rank.rank, before=0, reason="somebody deleted its pod, and the output with it")
            return False
        time.sleep(max(0.0, min(SETTLE, rank.news + SETTLE - time.monotonic())))
        rank.lines, rank.start, rank.last = Lines(rank.rank, rank.place), rank.place, source.ended
        query = f"container={source.container}&follow=true&timestamps=true{rank.place.since()}"
        self.streams.open(rank.key, self.endpoint(), f"{self.path(source.pod)}?{query}", on_data=self.on_data)
        return True

    def _first_answers(self, keys: Sequence[str]) -> None:
        """Give the apiserver the time of one call to send what is there already."""
        deadline = time.monotonic() + FIRST_SECONDS
        while time.monotonic() < deadline:
            opened = [self.streams.get(key) for key in keys]
            if all(stream is None or stream.waiting or stream.ended for stream in opened):
                return
            time.sleep(0.005)

    def _read(self, rank: RankReader, share: int) -> tuple[list[LogLine], Gap | None]:
        if rank.lines is None:
            gap, rank.gap = rank.gap, None
            return [], gap
        over = self.streams.ended(rank.key)  # looked at first: what arrives after this look is read next time
        lines, gap = self._new(rank.key, rank.lines, share)
        if over and self.streams.ended(rank.key):
            lost = self._close(rank, lines)
            gap = gap or lost
        elif rank.lines.strange or (self.streams.hangs(rank.key) and self.known_ended(rank.rank)):
            gap = gap or self._close(rank, lines)
        rank.place = rank.lines.place if rank.lines else rank.place
        return lines, gap

    def _new(self, key: str, taken: Lines, share: int) -> tuple[list[LogLine], Gap | None]:
        """Return what is new of what has arrived. A stream that was opened anew first brings all of a second again."""
        deadline, skipping = time.monotonic() + SKIP_SECONDS, False
        while time.monotonic() < deadline:
            if data := self.streams.take(key, share):
                lines, gap = taken.feed(data)
                if lines or gap or taken.strange:
                    return lines, gap
                skipping = True
            elif not skipping or self.streams.ended(key):
                break
            else:
                time.sleep(0.005)
        return [], None

    def _close(self, rank: RankReader, lines: list[LogLine]) -> Gap | None:
        """End a stream that is over: for good where the program had, else it is opened anew at the next call."""
        stream, taken = self.streams.get(rank.key), rank.lines
        error = "closed" if stream is None else stream.error or ("" if stream.ended else "the connection hangs")
        self.streams.close(rank.key)
        rank.lines = None
        if taken is None:
            return None
        if not error:
            lines += taken.finish()
        rank.place = taken.place
        if error or taken.strange:
            return self._failed(
                rank, len(lines), f"the node does not have the output any more: {taken.strange or error}"
            )
        return self._ended_cleanly(rank, taken)

    def _ended_cleanly(self, rank: RankReader, taken: Lines) -> Gap | None:
        """Note the end of a stream. The apiserver ends one cleanly when the node breaks off, too.

        So the end is only what brings our last line again and nothing after it. Where that line does not come, the node broke
        off before it, or has rotated it away, perhaps together with lines after it.
        """
        rank.clean = True
        if rank.last and not taken.anchored:
            return self._failed(rank, 0, ROTATED)
        if rank.last and taken.place == rank.start:
            rank.ended = True
        elif rank.last:
            rank.news = time.monotonic()
        return None

    def _failed(self, rank: RankReader, before: int, reason: str) -> Gap | None:
        rank.failures += rank.last
        if rank.failures < TRIES:
            return None
        rank.ended = True
        return Gap(rank.rank, before=before, reason=reason)


def open_reader(
    handle: Handle,
    cursor: str,
    *,
    streams: Streams,
    endpoint: Callable[[], Endpoint],
    path: Callable[[str], str],
    look: Callable[[], Mapping[int, Source] | None],
    known_ended: Callable[[int], bool],
    on_data: Callable[[], None],
) -> JobReader:
    """Return a reader of a job's output after *cursor*."""
    ranks = []
    for number, place in enumerate(parse_cursor(cursor, handle.ranks)):
        ranks.append(RankReader(number, f"{handle.job_id}/{number}/{next(_COUNT)}", place))
    return JobReader(handle, streams, endpoint, path, look, known_ended, on_data, ranks)
