"""Tells the server what became of a process: two attributes, then the close. Both are safe to repeat."""

import json

import anyio
import attrs

from container_executor.client import (
    BadCallError,
    Client,
    DeniedError,
    NotFoundError,
    Process,
    ProcessState,
    UnsendableError,
)
from container_executor.errors import ServerError
from container_executor.execute.clock import now
from container_executor.execute.lease import Lease
from container_executor.execute.outcome import Outcome
from container_executor.execute.pauses import pauses
from container_executor.logs import Logger

log = Logger(__name__)

LATE = 3.0
"""A close this near to the deadline, in seconds, may be accepted and then undone: the server's loop that takes processes back
decides on what it read a moment before."""
_FINAL = (DeniedError, BadCallError, NotFoundError, UnsendableError)
"""The same call would be refused again."""
PAUSE = 0.5
PAUSE_LIMIT = 20.0


@attrs.frozen
class Closer:
    """Closes one attempt of a process.

    Attributes:
        client: The server.
        process: The process as it was given to us.
        lease: How long it is ours.
    """

    client: Client
    process: Process
    lease: Lease

    async def attach(self, outcome: Outcome) -> None:
        """Attach the outcome as JSON in ``outcome`` and the exit code in ``exitcode``.

        Attributes are written once per process; those of a later attempt bear its number, as in ``outcome.2``.
        """
        await self._attach("outcome", outcome.to_json())
        if outcome.exit_code is not None:
            await self._attach("exitcode", str(outcome.exit_code))

    async def _attach(self, key: str, value: str) -> None:
        """Attach one, again and again while there is time and the server does not answer; the close matters more."""
        for pause in pauses(PAUSE, PAUSE_LIMIT):
            try:
                await self._add(key, value)
                return
            except ServerError as error:
                log.warning("attribute not attached", process=self.process.id, key=key, error=str(error))
                if isinstance(error, _FINAL) or now() + pause >= self.lease.end:
                    return
            await anyio.sleep(pause)

    async def _add(self, key: str, value: str) -> None:
        try:
            await self.client.add_attribute(self.process.id, key, value)
        except BadCallError:
            present = await self.client.process(self.process.id)
            if any(attribute.key == key and attribute.value == value for attribute in present.attributes):
                return
            await self.client.add_attribute(self.process.id, f"{key}.{self.process.attempt}", value)

    async def close(self, outcome: Outcome, output: list[object]) -> bool:
        """Close the process, again and again until the server has answered.

        Returns:
            Whether that settled it; False where the server took the close back and gives the process away again.
        """
        if now() >= self.lease.end and not await self._ours():
            log.warning("not closed: the process is not ours any more", process=self.process.id)
            return True
        await self._until_answered(outcome, output)
        if now() < self.lease.deadline - LATE:
            return True
        await anyio.sleep(LATE)
        return await self._state() is not ProcessState.WAITING

    async def _until_answered(self, outcome: Outcome, output: list[object]) -> None:
        for pause in pauses(PAUSE, PAUSE_LIMIT):
            try:
                await self._close_once(outcome, output)
                return
            except _FINAL as error:
                log.warning("the server refused the close", process=self.process.id, error=str(error))
                return
            except ServerError as error:
                log.warning("the close may not have arrived", process=self.process.id, error=str(error))
            await anyio.sleep(pause)
            if not await self._ours():
                return

    async def _close_once(self, outcome: Outcome, output: list[object]) -> None:
        if outcome.succeeded:
            try:
                await self.client.close_successful(self.process.id, output)
            except UnsendableError:  # a number that the server would round: as text it stays what the job wrote
                await self.client.close_successful(self.process.id, [json.dumps(output)])
        else:
            await self.client.close_failed(self.process.id, [outcome.reason])

    async def _ours(self) -> bool:
        """Return whether this attempt is still running and ours, as far as can be told now."""
        try:
            seen = await self.client.process(self.process.id)
        except (DeniedError, NotFoundError):
            return False
        except ServerError:
            return True
        holder = self.client.identity.id
        return (
            seen.state is ProcessState.RUNNING and seen.executor_id == holder and seen.attempt == self.process.attempt
        )

    async def _state(self) -> ProcessState | None:
        try:
            return (await self.client.process(self.process.id)).state
        except ServerError:
            return None
