"""Reads the output of one job from the follow streams of its containers, from any place in it."""

import threading
import time
from collections.abc import Callable, Sequence
from datetime import timedelta

import attrs

from container_executor.line_times import DISORDER
from container_executor.models import Gap, Handle, LogChunk, LogLine
from container_executor.streams import Endpoint, Streams
from container_executor_docker import frames
from container_executor_docker.frames import Place, Skip
from container_executor_docker.labels import container_names

FIRST_SECONDS = 0.3

Started = Callable[[str], bool | None]
"""Tells of a container by name whether its program runs (True), has ended (False), or has not begun or is not there (None)."""


@attrs.define(eq=False)
class RankReader:
    """One rank's output: where it has come to, and what was read but is no whole frame yet.

    Its end is believed only of a stream that was opened *after_end* of the program: one that followed it may lack the last
    lines (dockerd 20.10 stops following when the writer has gone, read or not).
    """

    rank: int
    name: str
    key: str
    place: Place
    rest: bytes = b""
    skip: Skip = attrs.field(factory=lambda: Skip(Place()))
    after_end: bool = False
    ended: bool = False


@attrs.define(eq=False)
class JobReader:
    """The output of all ranks of a job.

    Attributes:
        handle: The job.
        streams: Where the streams are followed.
        endpoint: Where they come from.
        prefix: Path before ``/containers``, the API version.
        started: Tells whether a container has begun.
        known_ended: Tells of a container by name whether it is known to have ended; asks nobody.
        on_data: Called when something arrived.
        local: The engine keeps output with Docker's driver ``local``: it can be followed, and loses newlines after long lines.
            Podman keeps it with another, in the order of its times; following it loses lines of a busy job (4.3, 5.8), so it is
            read anew instead.
        ranks: One for each rank.
        lock: Held by whoever reads.
    """

    handle: Handle
    streams: Streams
    endpoint: Endpoint
    prefix: str
    started: Started
    known_ended: Callable[[str], bool]
    on_data: Callable[[], None]
    local: bool
    ranks: Sequence[RankReader]
    lock: threading.Lock = attrs.field(factory=threading.Lock)

    @property
    def cursor(self) -> str:
        """Where it has come to."""
        return frames.format_cursor([rank.place for rank in self.ranks])

    def read(self, limit: int) -> LogChunk:
        """Return about *limit* bytes of what has arrived."""
        share = max(4096, limit // len(self.ranks))
        lines: list[LogLine] = []
        gaps: list[Gap] = []
        for rank in self.ranks:
            found, gap = self._read_rank(rank, share)
            gaps += [attrs.evolve(gap, before=len(lines))] if gap else []
            lines += found
        end = not lines and all(rank.ended for rank in self.ranks)
        return LogChunk(tuple(lines), self.cursor, end, tuple(gaps))

    def close(self) -> None:
        """Follow no more."""
        for rank in self.ranks:
            self.streams.close(rank.key)

    def _read_rank(self, rank: RankReader, share: int) -> tuple[list[LogLine], Gap | None]:
        while not rank.ended and self._open(rank):
            lines, gap = self._take(rank, share)
            if lines or gap or not self._is_over(rank):
                return lines, gap
            if self._close(rank) or self.started(rank.name) is not False:
                break  # it is opened anew at the next call
        return [], None

    def _is_over(self, rank: RankReader) -> bool:
        """Return whether a stream brings no more: it has ended, or it hangs though its program has ended."""
        return self.streams.ended(rank.key) or (self.streams.hangs(rank.key) and self.known_ended(rank.name))

    def _take(self, rank: RankReader, share: int) -> tuple[list[LogLine], Gap | None]:
        """Take *share* bytes of text if so much has arrived; around each short line the engine sends six times as much."""
        lines, gap = self._take_some(rank, share)
        left, more = share - _size(lines), lines
        while more and left > 0:
            more, _ = self._take_some(rank, share)  # only the first frames of a stream tell of a gap
            left -= _size(more)
            lines += more
        return lines, gap

    def _take_some(self, rank: RankReader, share: int) -> tuple[list[LogLine], Gap | None]:
        data = rank.rest + self.streams.take(rank.key, share)
        whole, rank.rest = frames.split(data, rank.rank)
        new, rank.skip, gap = frames.leave_out(whole, rank.skip)
        lines, rank.place = frames.pass_on(rank.place, new, mend=self.local)
        return lines, gap

    def _open(self, rank: RankReader) -> bool:
        if self.streams.get(rank.key) is not None:
            return True
        started = self.started(rank.name)
        if started is None:
            return False
        # Of a container that was never started dockerd would wait for the start.
        since = rank.place.query(DISORDER if self.local else timedelta())
        query = f"follow={started and self.local:d}&stdout=1&stderr=1&timestamps=1&since={since}"
        self.streams.open(
            rank.key,
            self.endpoint,
            f"{self.prefix}/containers/{rank.name}/logs?{query}",
            on_data=self.on_data if self.local else None,  # the end of an answer that follows nothing is no news
        )
        rank.rest, rank.skip, rank.after_end = b"", Skip.to(rank.place), not started
        self._first_answer(rank.key)
        return True

    def _first_answer(self, key: str) -> None:
        """Give the engine the time of one call to send what is there already."""
        deadline = time.monotonic() + FIRST_SECONDS
        stream = self.streams.get(key)
        while stream is not None and not stream.waiting and not stream.ended and time.monotonic() < deadline:
            time.sleep(0.005)

    def _close(self, rank: RankReader) -> bool:
        """Close a stream that is over, and note whether that was the end of the output; return whether it broke."""
        stream = self.streams.get(rank.key)
        broken = stream is None or not stream.ended or bool(stream.error) or bool(rank.rest)
        self.streams.close(rank.key)
        rank.ended = rank.after_end and not broken
        return broken


def _size(lines: Sequence[LogLine]) -> int:
    return sum(len(line.data) for line in lines)


def open_reader(
    handle: Handle,
    cursor: str,
    *,
    streams: Streams,
    endpoint: Endpoint,
    prefix: str,
    started: Started,
    known_ended: Callable[[str], bool],
    on_data: Callable[[], None],
    local: bool,
) -> JobReader:
    """Return a reader of a job's output after *cursor*."""
    ranks = []
    for number, (name, place) in enumerate(
        zip(container_names(handle), frames.parse_cursor(cursor, handle.ranks), strict=True)
    ):
        streams.close(f"{handle.job_id}/{number}")
        ranks.append(RankReader(number, name, f"{handle.job_id}/{number}", place))
    return JobReader(handle, streams, endpoint, prefix, started, known_ended, on_data, local, ranks)
