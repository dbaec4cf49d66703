"""What of a job's output goes into the server's log: all of it, or its head and its tail where it is above the site's limit. Pure."""

from collections.abc import Mapping

import attrs

from container_executor.execute.output.text import Pending, Tail, render
from container_executor.execute.record import Forwarded
from container_executor.models import LogChunk

PROGRESS = 1.0
"""Seconds between two lines that show the state of a progress bar."""
TAIL = 262_144
"""Characters of the end of an output that is above the site's limit which are kept."""


@attrs.frozen
class Place:
    """How far an output was read.

    Attributes:
        cursor: The backend's cursor.
        pending: What :class:`Pending` holds there, as JSON.
    """

    cursor: str = ""
    pending: Mapping[str, str] = attrs.field(factory=dict)

    @classmethod
    def of(cls, forwarded: Forwarded) -> "Place":
        """Return the place up to which output has arrived at the server."""
        return cls(forwarded.cursor, forwarded.pending)


@attrs.frozen
class Part:
    """Text for the server, and the place that it reaches to."""

    text: str
    place: Place


@attrs.define(eq=False)
class Excerpt:
    """Takes an output chunk by chunk and gives the parts of it that are to be sent.

    Attributes:
        ranks: How many ranks write.
        limit: Characters of one process that are sent at most.
        place: How far it was read. Once the limit is near, the server is told no new place until the end: a restart then reads
            the tail again.
    """

    ranks: int
    limit: int
    place: Place
    _tail: Tail | None = None
    _last_progress: float = 0.0

    def take(self, chunk: LogChunk, *, sent: int, moment: float) -> Part | None:
        """Take the next chunk and return what is to be sent now, None while it is only kept.

        Args:
            chunk: What the engine gave for :attr:`place`.
            sent: Characters that have been sent.
            moment: The boot clock.
        """
        text = self._text(chunk, moment)
        if self._tail is None and sent + len(text) > self.limit - TAIL:
            self._tail = Tail(TAIL)
        if self._tail is None:
            return Part(text, self.place)
        self._tail.add(text)
        return self.rest() if chunk.end else None

    def rest(self) -> Part | None:
        """Return what was only kept so far, once; None where nothing was."""
        tail, self._tail = self._tail, None
        return None if tail is None else Part(tail.text(), self.place)

    def _text(self, chunk: LogChunk, moment: float) -> str:
        progress = moment >= self._last_progress + PROGRESS
        text, pending = render(chunk, Pending.from_json(self.place.pending), ranks=self.ranks, progress=progress)
        if progress and text:
            self._last_progress = moment
        self.place = Place(chunk.cursor, pending.to_json())
        return text
