"""Reads the output of one job from the follow streams of its containers, from any place in it."""

import time
from collections.abc import Callable, Sequence

import attrs

from container_executor.models import Gap, Handle, LogChunk, LogLine
from container_executor.streams import Endpoint, Streams
from container_executor_docker import frames
from container_executor_docker.frames import Place, Skip
from container_executor_docker.request import container_name

FIRST_SECONDS = 0.3

Started = Callable[[str], bool | None]
"""Tells of a container by name whether its program runs (True), has ended (False), or has not begun or is not there (None)."""


@attrs.define(eq=False)
class RankReader:
    """One rank's output: where it has come to, and what was read but is no whole frame yet."""

    rank: int
    name: str
    key: str
    place: Place
    rest: bytes = b""
    skip: Skip = attrs.field(factory=Skip)
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
        on_data: Called when something arrived.
        ranks: One for each rank.
    """

    handle: Handle
    streams: Streams
    endpoint: Endpoint
    prefix: str
    started: Started
    on_data: Callable[[], None]
    ranks: Sequence[RankReader]

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
        if rank.ended or not self._open(rank):
            return [], None
        data = rank.rest + self.streams.take(rank.key, share)
        whole, rank.rest = frames.split(data, rank.rank)
        new, rank.skip, gap = frames.leave_out(whole, rank.skip)
        rank.place = frames.advance(rank.place, new)
        if not whole and self.streams.ended(rank.key):
            self._close(rank)
        return [frame.line for frame in new], gap

    def _open(self, rank: RankReader) -> bool:
        if self.streams.get(rank.key) is not None:
            return True
        if self.started(rank.name) is None:
            return False
        query = f"follow=1&stdout=1&stderr=1&timestamps=1&since={rank.place.since()}"
        self.streams.open(
            rank.key, self.endpoint, f"{self.prefix}/containers/{rank.name}/logs?{query}", on_data=self.on_data
        )
        rank.rest, rank.skip = b"", Skip.to(rank.place)
        self._first_answer(rank.key)
        return True

    def _first_answer(self, key: str) -> None:
        """Give the engine the time of one call to send what is there already."""
        deadline = time.monotonic() + FIRST_SECONDS
        stream = self.streams.get(key)
        while stream is not None and not stream.waiting and not stream.ended and time.monotonic() < deadline:
            time.sleep(0.005)

    def _close(self, rank: RankReader) -> None:
        """End a stream that has ended: for good where the program has, else it is opened anew at the next call."""
        stream = self.streams.get(rank.key)
        broken = stream is None or bool(stream.error) or bool(rank.rest)
        self.streams.close(rank.key)
        rank.ended = not broken and self.started(rank.name) is False


def open_reader(
    handle: Handle,
    cursor: str,
    *,
    streams: Streams,
    endpoint: Endpoint,
    prefix: str,
    started: Started,
    on_data: Callable[[], None],
) -> JobReader:
    """Return a reader of a job's output after *cursor*."""
    places = frames.parse_cursor(cursor, handle.ranks)
    ranks = []
    for number, place in enumerate(places):
        name = container_name(handle.job_id, handle.ranks, number)
        streams.close(f"{handle.job_id}/{number}")
        ranks.append(RankReader(number, name, f"{handle.job_id}/{number}", place))
    return JobReader(handle, streams, endpoint, prefix, started, on_data, ranks)
