"""Makes this daemon an approved member of its colony, and keeps its key.

An executor that the server knows and has approved is never added again: adding a name anew gives everything that it runs to
others.
"""

from collections.abc import Sequence
from typing import Any

import anyio
import attrs

from container_executor.client import Client, DeniedError, Executor, ExecutorState, Identity, RefusedError
from container_executor.errors import ServerError
from container_executor.execute.pauses import pauses
from container_executor.funcspec.model import EXECUTE, SYNC
from container_executor.logs import Logger

log = Logger(__name__)

FUNCTIONS = {EXECUTE: "runs a container", SYNC: "synchronises directories"}
PAUSE = 2.0
PAUSE_LIMIT = 30.0


@attrs.define(eq=False)
class Membership:
    """Who we are to the server.

    Attributes:
        client: The server, signed with the executor's key.
        name: Our name.
        type: The type that specs ask for.
        location: Where we say we are.
        hardware: What is shown of our machines.
        software: What is shown of our programs.
        colony_key: The colony owner's key, where the site gave it to us.
    """

    client: Client
    name: str
    type: str
    location: str = ""
    hardware: Sequence[dict[str, Any]] = ()
    software: Sequence[dict[str, Any]] = ()
    colony_key: Identity | None = None

    async def ensure(self) -> None:
        """Return once we are approved, and our functions are registered."""
        for pause in pauses(PAUSE, PAUSE_LIMIT):
            if await self._try():
                break
            await anyio.sleep(pause)
        await self._announce()

    async def _try(self) -> bool:
        try:
            state = await self._state()
            if state is not ExecutorState.APPROVED:
                await self._apply(state)
            return await self._state() is ExecutorState.APPROVED
        except RefusedError as error:
            log.error("the server refuses us", executor=self.name, id=self.client.identity.id, error=str(error))
        except ServerError as error:
            log.warning("the server does not answer", url=self.client.url, error=str(error))
        return False

    async def _state(self) -> ExecutorState | None:
        """Return our state, None where the server does not know our key."""
        try:
            executors = await self.client.executors()
        except DeniedError:
            return None
        us = self.client.identity.id
        states = [executor.state for executor in executors if executor.id == us and executor.name == self.name]
        return states[0] if states else None

    async def _apply(self, state: ExecutorState | None) -> None:
        if self.colony_key is None:
            log.warning(
                "waiting for approval: the colony's owner must add this executor and approve it",
                executor=self.name, type=self.type, id=self.client.identity.id, state=state.name if state is not None else "unknown",
            )  # fmt: skip
            return
        owner = self.client.as_(self.colony_key)
        if state is None or state is ExecutorState.UNREGISTERED:
            await owner.add_executor(self._executor())
            log.info("added", executor=self.name, type=self.type, id=self.client.identity.id)
        await owner.approve_executor(self.name)

    def _executor(self) -> Executor:
        return Executor(
            name=self.name,
            id=self.client.identity.id,
            type=self.type,
            colony=self.client.colony,
            location=self.location,
            capabilities={"hardware": list(self.hardware), "software": list(self.software)},
        )

    async def _announce(self) -> None:
        """Register our functions, for people: the server counts by them and assigns without looking at them."""
        try:
            present = {function.name for function in await self.client.functions(self.name)}
            for name in FUNCTIONS.keys() - present:
                await self.client.add_function(self.name, self.type, name, FUNCTIONS[name])
        except ServerError as error:
            log.warning("functions not registered", error=str(error))
