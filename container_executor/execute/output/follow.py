"""Reads the output of one job from the engine and hands it on.

The engine keeps the output until we have read it, and nothing is read before the entry before it has arrived: a slow server
slows the reading down, and memory stays bounded.
"""

from collections.abc import Callable

import anyio
import attrs

from container_executor.errors import BackendError
from container_executor.execute.clock import now
from container_executor.execute.engine import Engine
from container_executor.execute.monitor import Watched
from container_executor.execute.output.excerpt import Excerpt
from container_executor.execute.output.pace import Pace, next_entry
from container_executor.execute.output.sending import Sender
from container_executor.logs import Logger
from container_executor.models import LogChunk

log = Logger(__name__)

NO_ANSWER = 2.0
"""Seconds before an engine that did not answer is asked for output again."""


@attrs.define(eq=False)
class Follower:
    """The output of one launch.

    Attributes:
        engine: Where it comes from.
        watched: The job.
        excerpt: What of it is sent.
        sender: Who sends it.
        live: Tells how many jobs are live.
    """

    engine: Engine
    watched: Watched
    excerpt: Excerpt
    sender: Sender
    live: Callable[[], int]
    _pace: Pace = attrs.field(factory=Pace)

    async def follow(self) -> None:
        """Hand on the output to its end.

        Raises:
            ProcessLostError: The server takes no more.
        """
        while True:
            chunk = await self._read()
            await self._hand_on(chunk)
            if chunk.end:
                return
            self._pace = self._pace.after_reading(silent=not chunk.lines, live=self.live())
            await self._pause(chunk)

    async def _read(self) -> LogChunk:
        handle = self.watched.handle
        while True:
            try:
                return await self.engine.logs(handle, self.excerpt.place.cursor, limit=self._pace.batch)
            except BackendError as error:
                log.warning("no output from the engine; asking again", job=handle.job_id, error=str(error))
                await anyio.sleep(NO_ANSWER)

    async def _hand_on(self, chunk: LogChunk) -> None:
        part = self.excerpt.take(chunk, sent=self.sender.state.sent, moment=now())
        if part is not None and (took := await self.sender.deliver(part)) is not None:
            self._pace = self._pace.after_entry(took)

    async def _pause(self, chunk: LogChunk) -> None:
        if self._ended:
            await anyio.sleep(0 if chunk.lines else self._pace.last_quiet)
        elif chunk.lines:
            await self._beat(next_entry(self.sender.sent_at, sum(len(line.data) for line in chunk.lines)))
        else:
            await self.watched.output.wait(self._pace.quiet)

    async def _beat(self, until: float) -> None:
        while now() < until and not self._ended:
            await self.watched.output.wait(until - now())

    @property
    def _ended(self) -> bool:
        status = self.watched.sight.status
        return status is not None and status.state.ended
