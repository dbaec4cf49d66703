"""Asks the server, every few seconds and in one call, which processes are ours, and acts on what changed.

A process that is not in the answer was cancelled, taken back, given to another, or removed: its life is told. One that is in
the answer and that nobody here knows was assigned to us in a reply that was lost: it is taken on.
"""

from collections.abc import Callable, Mapping

import attrs

from container_executor.client import DeniedError, NotFoundError, Process, ProcessState
from container_executor.errors import ServerError
from container_executor.execute.clock import Bell, now
from container_executor.execute.decide import Why
from container_executor.execute.lifecycle import Life
from container_executor.execute.lives import Key, Lives
from container_executor.logs import Logger

log = Logger(__name__)

ROUND = 5.0
"""Seconds between two questions, longer in proportion where more than MANY processes are live: the answer lists them all."""
MANY = 300


@attrs.define(eq=False)
class Leases:
    """Keeps the lives in step with the server.

    Attributes:
        lives: The processes that we believe are ours.
        on_stranger: Called when the server does not know us any more.
        bell: Ring it to have the server asked at once.
    """

    lives: Lives
    on_stranger: Callable[[], None]
    bell: Bell = attrs.field(factory=Bell)
    _unknown: Mapping[Key, float] = attrs.field(factory=dict)
    _denied: bool = False

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            await self.bell.wait(self._round())
            await self.check()

    def _round(self) -> float:
        return ROUND * max(1.0, len(self.lives) / MANY)

    async def check(self) -> None:
        """Ask once."""
        client, asked = self.lives.site.client, now()
        before = self.lives.all()
        try:
            running = await client.running_on(client.identity.id)
        except DeniedError:
            self._forgotten()
            return
        except ServerError as error:
            log.warning("the server does not tell which processes are ours", error=str(error))
            return
        self._denied = False
        held = {(process.id, process.attempt): process for process in running}
        for life in before:
            if life.key not in held and not life.closing:
                await self._find_out(life)
        self._take_on(held, asked)

    def _forgotten(self) -> None:
        """Have us registered again; a server that still does not know us has given all that we run to others."""
        if self._denied:
            for life in self.lives.all():
                self._lose(life, Why.LOST)
        self._denied = True
        self.on_stranger()

    def _take_on(self, held: Mapping[Key, Process], asked: float) -> None:
        """Take on what nobody here knows, once it was seen twice: the reply that assigns it may still be on its way."""
        unknown = {key: asked for key in held if key not in self.lives}
        for key in unknown.keys() & self._unknown.keys():
            log.warning("taking on a process whose assignment was lost", process=key[0], attempt=key[1])
            self.lives.begin(held[key], asked=self._unknown[key] - 2 * self._round())
        self._unknown = unknown

    async def _find_out(self, life: Life) -> None:
        try:
            seen = await self.lives.site.client.process(life.process.id)
        except NotFoundError:
            self._lose(life, Why.LOST)
            return
        except ServerError as error:
            log.warning("the server does not tell what became of a process", process=life.process.id, error=str(error))
            return
        if seen.state is ProcessState.CANCELLED:
            self._lose(life, Why.CANCELLED)
        elif not self._still_ours(life, seen):
            self._lose(life, Why.LOST)

    def _still_ours(self, life: Life, seen: Process) -> bool:
        if life.closing or life not in self.lives.all():
            return True
        us = self.lives.site.client.identity.id
        return seen.state is ProcessState.RUNNING and seen.executor_id == us and seen.attempt == life.process.attempt

    def _lose(self, life: Life, why: Why) -> None:
        log.info("process is not ours any more", process=life.process.id, why=why.value)
        life.interrupt.order(why)
