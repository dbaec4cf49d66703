"""Asks the server for work, one question at a time, offering what is free now.

A question that is under way is never broken off: the server may have assigned a process in an answer that nobody then reads.
Asking is also the only sign of life that the server counts (it removes an executor that has not asked for 600 s), so while
nothing is free a question that no process can match is sent every minute.
"""

from collections.abc import Callable, Iterator

import anyio
import attrs

from container_executor.client import DeniedError, PausedError, Process, ServerFaultError
from container_executor.errors import ServerError
from container_executor.execute.clock import now
from container_executor.execute.lives import Lives
from container_executor.execute.pauses import pauses
from container_executor.execute.room import look
from container_executor.logs import Logger
from container_executor.models import Capacity

log = Logger(__name__)

BUSY_POLL = 2
"""Seconds that a question waits at the server while processes are live: what is free changes under it."""
ALIVE = 60.0
"""Seconds between two signs of life."""
FORGIVEN = 600.0
"""Seconds without a sign of life after which a server, by default, gives our processes to others."""
PAUSE = 1.0
PAUSE_LIMIT = 30.0


def _growing() -> Iterator[float]:
    return pauses(PAUSE, PAUSE_LIMIT)


@attrs.define(eq=False)
class Claimer:
    """Takes processes on.

    Attributes:
        lives: Where they go.
        poll: Seconds that a question waits at the server while nothing is live.
        reconcile: Called after an answer was lost.
        on_stranger: Called when the server does not know us.
        draining: No new process is taken.
        last_sign: When the server last heard from us, on the boot clock.
        stopped: Set when the last question has been answered after draining began.
    """

    lives: Lives
    poll: int
    reconcile: Callable[[], None]
    on_stranger: Callable[[], None]
    draining: bool = False
    last_sign: float = attrs.field(factory=now)
    stopped: anyio.Event = attrs.field(factory=anyio.Event)
    _told: anyio.Event = attrs.field(factory=anyio.Event)
    _pauses: Iterator[float] = attrs.field(factory=_growing)

    async def run(self) -> None:
        """Ask until draining, then keep the server hearing from us until cancelled."""
        while not self.draining:
            if self.lives.site.ledger.full:
                await self._wait_for_room()
            else:
                await self._ask()
        self.stopped.set()
        while True:
            await self._sign_of_life()
            await anyio.sleep(ALIVE)

    def drain(self) -> None:
        """Take no new process from now on."""
        self.draining = True
        self._told.set()
        self.lives.site.metrics.draining.set(1)
        self.lives.site.ledger.changed.ring()

    async def _wait_for_room(self) -> None:
        if now() >= self.last_sign + ALIVE:
            await self._sign_of_life()
        await self.lives.site.ledger.changed.wait(min(ALIVE, 5.0))

    async def _ask(self) -> None:
        await look(self.lives.site)
        asked = now()
        timeout = BUSY_POLL if len(self.lives) else self.poll
        process = await self._answer(timeout, self.lives.site.ledger.free())
        if process is not None:
            self.lives.begin(process, asked=asked)

    async def _answer(self, timeout: int, free: Capacity) -> Process | None:
        client = self.lives.site.client
        try:
            process = await client.assign(timeout=timeout, cpu=free.cpu, memory=free.memory)
        except PausedError:
            self.last_sign = now()
            await anyio.sleep(PAUSE)
        except DeniedError:
            self.on_stranger()
            await self._back_off()
        except ServerFaultError as error:
            log.warning("the server failed to assign", error=str(error))
            await anyio.sleep(PAUSE)
        except ServerError as error:
            log.warning("no answer about new work", error=str(error))
            self.reconcile()
            await self._back_off()
        else:
            self._pauses, self.last_sign = _growing(), now()
            return process
        return None

    async def _sign_of_life(self) -> None:
        try:
            process = await self.lives.site.client.keep_alive()
        except PausedError:
            process = None
        except ServerError as error:
            log.warning("the server does not hear us", error=str(error))
            return
        self.last_sign = now()
        if process is not None:
            self.lives.begin(process, asked=self.last_sign)

    async def _back_off(self) -> None:
        with anyio.move_on_after(next(self._pauses)):
            await self._told.wait()
