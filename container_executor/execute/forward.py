"""Brings the output of a job to the server's log: in order, whole, once.

The server's call that adds a log entry cannot be repeated safely: a lost reply leaves it open whether the entry arrived. So each
entry is journaled before it is sent, with the number of entries known to have arrived. Nobody but the assigned executor can
add to a process's log, so counting the server's entries tells whether the last one is among them.

The engine keeps the output until we have read it, and nothing is read before the entry before it has arrived: a slow server
slows the reading down, and memory stays bounded.
"""

import math
from collections.abc import Awaitable, Callable

import anyio
import anyio.abc
import attrs

from container_executor.client import BadCallError, Client, DeniedError, NotFoundError
from container_executor.errors import BackendError, ServerError
from container_executor.execute.clock import now
from container_executor.execute.engine import Engine
from container_executor.execute.journal import Forwarded
from container_executor.execute.monitor import Watched
from container_executor.execute.text import PREFIX, Pending, Tail, render
from container_executor.logs import Logger
from container_executor.models import LogChunk

log = Logger(__name__)

BATCH = 65_536
"""Bytes of output in one entry at most, while the server is quick."""
LARGEST = 2**19
"""The same for a server that is slow: entries grow, so that a job's output waits on the engine as short as can be."""
SLOW = 1.0
"""Seconds that a quick server never takes for an entry."""
BEAT = 0.5
"""Seconds between two entries of one process, unless the first is full or the job has ended."""
QUIET_LIMIT = 5.0
"""Seconds after which a silent job is asked for output again without a hint, where few jobs are live."""
QUIET_RATE = 20.0
"""Silent jobs that are asked in a second at most: with a thousand of them each is asked every 50 s."""
PROGRESS = 1.0
"""Seconds between two lines that show the state of a progress bar."""
TAIL = 262_144
"""Characters of the end of an output that is above the site's limit which are kept."""
PAGE = 500
"""Entries that one call of the server returns at most."""
RESTART_PATIENCE = 5.0
"""Seconds that the output of a launch that failed without running may take to end."""
RESEND_PAUSE = 1.0
RESEND_LIMIT = 20.0


class ProcessLostError(Exception):
    """The server takes no more output: the process is not ours any more."""


@attrs.define(eq=False)
class Forwarder:
    """The log of one process.

    Attributes:
        client: The server.
        engine: Where the output comes from.
        process_id: Whose log it is.
        state: How far it has come.
        save: Writes the state to the journal.
        on_lost: Called when the server takes no more.
        senders: Bounds how many entries of all processes are under way, so that a slow log never delays other calls.
        limit: Characters of output that are kept at most.
        live: Tells how many jobs are live.
    """

    client: Client
    engine: Engine
    process_id: str
    state: Forwarded
    save: Callable[[Forwarded], None]
    on_lost: Callable[[], None]
    senders: anyio.CapacityLimiter
    limit: int
    live: Callable[[], int]
    _queue: list[tuple[str, str]] = attrs.field(factory=list)
    _sending: anyio.Lock = attrs.field(factory=anyio.Lock)
    _scope: anyio.CancelScope | None = None
    _done: anyio.Event = attrs.field(factory=anyio.Event)
    _tail: Tail | None = None
    _beyond: Forwarded | None = None
    _open_line: bool = False
    _batch: int = BATCH
    _last_sent: float = 0.0
    _last_progress: float = 0.0
    _lost: bool = False

    async def begin(self) -> None:
        """Note how long the log is already: an earlier attempt may have written into it.

        Raises:
            ServerError: The server did not answer.
        """
        latest = await self.client.logs(self.process_id, count=1, latest=True)
        self.state = attrs.evolve(self.state, since=latest[-1].timestamp if latest else 0)

    def say(self, name: str, text: str) -> None:
        """Queue a line of our own; one whose *name* has been said before is not repeated."""
        if name not in self.state.said and name not in (said for said, _ in self._queue):
            self._queue.append((name, f"{PREFIX}{text}\n"))

    def start(self, tasks: anyio.abc.TaskGroup, watched: Watched, *, ranks: int) -> None:
        """Begin to forward the output of a job."""
        self._scope = anyio.CancelScope()
        tasks.start_soon(self._follow, self._scope, watched, ranks)

    async def finish(self, seconds: float, *, until: float | None = None) -> None:
        """Wait until the output has ended, then send what is queued.

        Args:
            seconds: How long nothing may come from the engine before the rest is given up.
            until: When it is given up in any case, on the boot clock.
        """
        if self._scope is not None:
            await self._until_still(seconds, until)
            if not self._done.is_set():
                self._scope.cancel()
                self.say("cut", "the end of the output did not come in time; it may be incomplete")
                await self._guarded(self._send_tail)
            self._scope = None
        await self.flush()

    async def _until_still(self, seconds: float, until: float | None) -> None:
        place, moved = None, now()
        while not self._done.is_set():
            if self._place() != place or self._sending.statistics().locked:  # a slow server is no end of the output
                place, moved = self._place(), now()
            left = min(moved + seconds, until or math.inf) - now()
            if left <= 0:
                return
            with anyio.move_on_after(min(left, 1.0)):
                await self._done.wait()

    def _place(self) -> tuple[str, int]:
        return (self._beyond or self.state).cursor, self.state.entries

    async def restart(self) -> None:
        """Send what the last launch left, and begin again at the start of the next one's output."""
        await self.finish(RESTART_PATIENCE)
        async with self._sending:
            self.state = attrs.evolve(self.state, cursor="", pending={}, next=None)
            self.save(self.state)
        self._done, self._tail, self._beyond = anyio.Event(), None, None

    def abandon(self) -> None:
        """Forward no more: the process is not ours."""
        self._lost = True
        if self._scope is not None:
            self._scope.cancel()

    async def flush(self) -> None:
        """Send the lines that are queued."""
        if self._queue and not self._lost:
            await self._guarded(self._deliver, "", None)

    async def _follow(self, scope: anyio.CancelScope, watched: Watched, ranks: int) -> None:
        with scope:
            await self._guarded(self._begin_again)
            await self._guarded(self._follow_all, watched, ranks)
            self._done.set()

    async def _guarded(self, function: Callable[..., Awaitable[None]], *arguments: object) -> None:
        """Await *function*; what ends the log ends nothing else."""
        if self._lost:
            return
        try:
            await function(*arguments)
        except ProcessLostError:
            self._lost = True
            self.on_lost()

    async def _follow_all(self, watched: Watched, ranks: int) -> None:
        quiet = 0.05
        while True:
            chunk = await self._read(watched)
            await self._take(chunk, ranks)
            if chunk.end:
                return
            quiet = 0.05 if chunk.lines else min(max(QUIET_LIMIT, self.live() / QUIET_RATE), quiet * 2)
            await self._pause(watched, chunk, quiet)

    async def _read(self, watched: Watched) -> LogChunk:
        place = self._beyond or self.state
        while True:
            try:
                return await self.engine.logs(watched.handle, place.cursor, limit=self._batch)
            except BackendError as error:
                log.warning("no output from the engine; asking again", job=watched.handle.job_id, error=str(error))
                await anyio.sleep(2.0)

    async def _pause(self, watched: Watched, chunk: LogChunk, quiet: float) -> None:
        if _ended(watched):
            await anyio.sleep(0 if chunk.lines else min(quiet, 0.2))
        elif not chunk.lines:
            await watched.output.wait(quiet)
        elif sum(len(line.data) for line in chunk.lines) < BATCH // 2:
            await self._beat(watched)

    async def _beat(self, watched: Watched) -> None:
        until = self._last_sent + BEAT
        while now() < until and not _ended(watched):
            await watched.output.wait(until - now())

    async def _take(self, chunk: LogChunk, ranks: int) -> None:
        before = self._beyond or self.state
        progress = now() >= self._last_progress + PROGRESS
        text, pending = render(chunk, Pending.from_json(before.pending), ranks=ranks, progress=progress)
        if progress and text:
            self._last_progress = now()
        after = attrs.evolve(before, cursor=chunk.cursor, pending=pending.to_json())
        if self._tail is None and self.state.sent + len(text) > self.limit - TAIL:
            self._tail = Tail(TAIL)
        if self._tail is None:
            await self._deliver(text, after)
        else:
            await self._keep(text, after, end=chunk.end)

    async def _keep(self, text: str, after: Forwarded, *, end: bool) -> None:
        """Take output above the limit: the journal stays where it began, so that a restart reads it again."""
        if self._tail is None:
            return
        self._tail.add(text)
        self._beyond = after
        if end:
            await self._send_tail()

    async def _send_tail(self) -> None:
        if self._tail is not None and self._beyond is not None:
            kept, after = self._tail.text(), self._beyond
            self._tail, self._beyond = None, None
            await self._deliver(kept, after)

    async def _deliver(self, text: str, place: Forwarded | None) -> None:
        """Send what is queued and *text*, after which the output has come to *place*; None is where it is.

        What came meanwhile from another task counts: of *place* only the cursor and the open lines are taken.
        """
        async with self._sending:
            await self._settle()
            place = place or self.state
            after = attrs.evolve(self.state, cursor=place.cursor, pending=place.pending)
            said, self._queue = self._queue, []
            parts = [line for _, line in said]
            if parts and (self._open_line and not text):
                parts.insert(0, "\n")
            whole = "".join(parts) + text
            if not whole:
                self.state = after
                return
            after = attrs.evolve(
                after,
                sent=self.state.sent + len(text),
                said=(*self.state.said, *(name for name, _ in said)),
                entries=self.state.entries + 1,
            )
            self.state = attrs.evolve(self.state, next=after)
            self.save(self.state)
            begun = now()
            await self._send(whole)
            self._batch = min(LARGEST, 2 * self._batch) if now() - begun > SLOW else BATCH
            self.state, self._last_sent, self._open_line = after, now(), not whole.endswith("\n")

    async def _begin_again(self) -> None:
        async with self._sending:
            await self._settle()

    async def _settle(self) -> None:
        """Find out, after a restart, whether the entry that was under way has arrived."""
        pending = self.state.next
        if pending is None:
            return
        arrived = await self._until_known()
        self.state = attrs.evolve(pending if arrived else self.state, next=None)
        self.save(self.state)

    async def _until_known(self) -> bool:
        pause = RESEND_PAUSE
        while True:
            try:
                return await self._count() > self.state.entries
            except (DeniedError, NotFoundError) as error:
                raise ProcessLostError from error
            except ServerError as error:
                log.warning(
                    "the server does not answer; its log will be asked for again",
                    process=self.process_id,
                    error=str(error),
                )
            await anyio.sleep(pause)
            pause = min(RESEND_LIMIT, pause * 2)

    async def _count(self) -> int:
        found, since = 0, self.state.since
        while True:
            entries = await self.client.logs(self.process_id, since=since, count=PAGE)
            found += len(entries)
            if len(entries) < PAGE:
                return found
            since = entries[-1].timestamp

    async def _send(self, text: str) -> None:
        while True:
            try:
                async with self.senders:
                    await self.client.add_log(self.process_id, text)
                return
            except (DeniedError, NotFoundError) as error:
                raise ProcessLostError from error
            except BadCallError as error:
                log.warning("the server refused output; it is left out", process=self.process_id, error=str(error))
                text = f"{PREFIX}the server refused {len(text)} characters of output: {error}\n"
            except ServerError as error:
                log.warning("output may not have arrived; asking the server", process=self.process_id, error=str(error))
                if await self._until_known():
                    return


def _ended(watched: Watched) -> bool:
    return watched.sight.status is not None and watched.sight.status.state.ended
