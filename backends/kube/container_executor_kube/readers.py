"""The readers of all jobs whose output is asked for: one for each, made anew where a caller goes on from elsewhere."""

import threading
from collections.abc import Callable, Mapping

import attrs

from container_executor.models import Handle, LogChunk
from container_executor.streams import Streams
from container_executor_kube.cluster import Cluster
from container_executor_kube.reader import JobReader, open_reader
from container_executor_kube.sources import Source, sources
from container_executor_kube.verdict import Sight


@attrs.define(eq=False)
class Readers:
    """Reads the output of jobs.

    Attributes:
        cluster: Where they are.
        look: Looks at a job; None where there is none.
        known_ended: Tells of a job and a rank whether its program is known to have ended; asks nobody.
        wake: Called with a job id when something of its output arrived.
    """

    cluster: Cluster
    look: Callable[[Handle], Sight | None]
    known_ended: Callable[[Handle, int], bool]
    wake: Callable[[str], None] = lambda _job_id: None
    _streams: Streams = attrs.field(factory=Streams, init=False)
    _readers: dict[str, JobReader] = attrs.field(factory=dict, init=False)
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False)

    def read(self, handle: Handle, cursor: str, limit: int) -> LogChunk:
        """Return about *limit* bytes of a job's output after *cursor*."""
        while True:
            reader = self._at(handle, cursor)
            with reader.lock:
                if reader.cursor == cursor:  # another caller may have read on meanwhile
                    return reader.read(limit)

    def forget(self, job_id: str) -> None:
        """Read a job no more."""
        with self._lock:
            reader = self._readers.pop(job_id, None)
        if reader is not None:
            reader.close()

    def close(self) -> None:
        """Close all streams."""
        self._streams.close_all()

    def _at(self, handle: Handle, cursor: str) -> JobReader:
        with self._lock:
            reader = self._readers.get(handle.job_id)
            if reader is None or reader.cursor != cursor:
                if reader is not None:
                    reader.close()
                reader = self._readers[handle.job_id] = self._open(handle, cursor)
            return reader

    def _open(self, handle: Handle, cursor: str) -> JobReader:
        def look() -> Mapping[int, Source] | None:
            sight = self.look(handle)
            return None if sight is None else sources(sight)

        return open_reader(
            handle,
            cursor,
            streams=self._streams,
            endpoint=self.cluster.endpoint,
            path=lambda pod: f"{self.cluster.path('pods', pod)}/log",
            look=look,
            known_ended=lambda rank: self.known_ended(handle, rank),
            on_data=lambda: self.wake(handle.job_id),
        )
