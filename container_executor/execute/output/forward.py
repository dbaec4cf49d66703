"""The log of one process on the server: the output of its launches, one after the other, and our own lines between."""

import math
from collections.abc import Awaitable, Callable

import anyio
import anyio.abc
import attrs

from container_executor.execute.clock import now
from container_executor.execute.engine import Engine
from container_executor.execute.monitor import Watched
from container_executor.execute.output.excerpt import Excerpt, Place
from container_executor.execute.output.follow import Follower
from container_executor.execute.output.pace import CUT
from container_executor.execute.output.sending import ProcessLostError, Sender

RESTART_PATIENCE = 5.0
"""Seconds that the output of a launch that failed without running may take to end."""


@attrs.define(eq=False)
class Forwarder:
    """Brings the output of a process's jobs to the server.

    Attributes:
        engine: Where the output comes from.
        sender: Who adds it to the server's log.
        limit: Characters of output that are kept at most.
        live: Tells how many jobs are live.
        on_lost: Called when the server takes no more.
    """

    engine: Engine
    sender: Sender
    limit: int
    live: Callable[[], int]
    on_lost: Callable[[], None]
    _excerpt: Excerpt | None = None
    _scope: anyio.CancelScope | None = None
    _done: anyio.Event = attrs.field(factory=anyio.Event)
    _lost: bool = False

    def say(self, name: str, text: str) -> None:
        """Queue a line of our own; one whose *name* has been said before is not repeated."""
        self.sender.say(name, text)

    async def flush(self) -> None:
        """Send the lines that are queued."""
        if self.sender.unsaid:
            await self._guarded(self.sender.deliver)

    def start(self, tasks: anyio.abc.TaskGroup, watched: Watched, *, ranks: int) -> None:
        """Begin to forward the output of a job."""
        self._scope = anyio.CancelScope()
        tasks.start_soon(self._follow, self._scope, watched, ranks)

    async def _follow(self, scope: anyio.CancelScope, watched: Watched, ranks: int) -> None:
        with scope:
            await self._guarded(self.sender.settle)
            excerpt = self._excerpt = Excerpt(ranks, self.limit, Place.of(self.sender.state))
            await self._guarded(Follower(self.engine, watched, excerpt, self.sender, self.live).follow)
            self._done.set()

    async def finish(self, seconds: float, *, until: float = math.inf) -> None:
        """Wait until the output has ended, then send what is queued.

        Args:
            seconds: How long nothing may come from the engine before the rest is given up.
            until: When it is given up in any case, on the boot clock.
        """
        if self._scope is not None:
            await self._until_still(seconds, until)
            if not self._done.is_set():
                self._scope.cancel()
                await self._cut()
            self._scope = None
        await self.flush()

    async def _cut(self) -> None:
        self.say("cut", CUT)
        if self._excerpt is not None and (rest := self._excerpt.rest()):
            await self._guarded(lambda: self.sender.deliver(rest))

    async def _until_still(self, seconds: float, until: float) -> None:
        reached, moved = self._reached(), now()
        while not self._done.is_set():
            if self._reached() != reached or self.sender.busy:  # a slow server is no end of the output
                reached, moved = self._reached(), now()
            left = min(moved + seconds, until) - now()
            if left <= 0:
                return
            with anyio.move_on_after(min(left, 1.0)):
                await self._done.wait()

    def _reached(self) -> tuple[str, int]:
        return self._excerpt.place.cursor if self._excerpt else "", self.sender.state.entries

    async def restart(self) -> None:
        """Send what the last launch left, and begin again at the start of the next one's output."""
        await self.finish(RESTART_PATIENCE)
        await self.sender.begin_anew()
        self._done, self._excerpt = anyio.Event(), None

    def abandon(self) -> None:
        """Forward no more: the process is not ours."""
        self._lost = True
        if self._scope is not None:
            self._scope.cancel()

    async def _guarded(self, step: Callable[[], Awaitable[object]]) -> None:
        """Take a step, unless the process is lost; what ends the log ends nothing else."""
        if self._lost:
            return
        try:
            await step()
        except ProcessLostError:
            self._lost = True
            self.on_lost()
