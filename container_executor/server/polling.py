"""Waiting for work: pollers that are woken, in order, by every process that they could get."""

import asyncio
from collections.abc import Awaitable, Callable

import attrs

from container_executor.server.assigning import Found, Nothing, Try
from container_executor.server.call import Effect, Entered, Resumed
from container_executor.server.matching import Offer, fits
from container_executor.server.process import State
from container_executor.server.refusal import Refused

LONGEST = 86_400
"""Seconds that one poll may wait."""

_NO_WORK = Refused(404, "No process available for assignment")
_PAUSED_AT_ONCE = Refused(503, "No processes available: colony assignments are paused")
_PAUSED = Refused(408, "Assignment timeout: colony assignments are paused")


@attrs.define(eq=False)
class _Poller:
    offer: Offer | None = None
    woken: asyncio.Event = attrs.field(factory=asyncio.Event)

    def hears(self, effect: Effect) -> bool:
        if self.offer is None:  # its first try has not been answered yet; better once too often
            return True
        if isinstance(effect, Resumed):
            return effect.colony == self.offer.colony
        return isinstance(effect, Entered) and fits(effect.process, self.offer)


@attrs.define(eq=False)
class Pollers:
    """All polls that wait at the moment, in the order in which they came."""

    _waiting: dict[_Poller, None] = attrs.field(factory=dict)

    def publish(self, effect: Effect) -> None:
        """Wake who could get this process."""
        if isinstance(effect, Resumed) or (isinstance(effect, Entered) and effect.process.state == State.WAITING):
            for poller in self._waiting:
                if not poller.woken.is_set() and poller.hears(effect):
                    poller.woken.set()

    async def poll(self, attempt: Callable[[], Awaitable[Try]], seconds: int) -> str:
        """Try until a process is found, or so many seconds have passed; a negative number tries once.

        Raises:
            Refused: There was no work, or the try was refused.
        """
        if seconds <= 0:
            return _settled(await attempt(), _PAUSED_AT_ONCE)
        poller = _Poller()
        self._waiting[poller] = None
        try:
            return await self._wait(poller, attempt, min(seconds, LONGEST))
        finally:
            del self._waiting[poller]

    async def _wait(self, poller: _Poller, attempt: Callable[[], Awaitable[Try]], seconds: int) -> str:
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while (left := end - loop.time()) > 0:
            poller.woken.clear()
            tried = await attempt()
            if isinstance(tried.result, Found):
                return tried.result.text
            poller.offer = tried.offer
            try:
                async with asyncio.timeout(left):
                    await poller.woken.wait()
            except TimeoutError:
                break
        return _settled(await attempt(), _PAUSED)


def _settled(tried: Try, paused: Refused) -> str:
    if isinstance(tried.result, Found):
        return tried.result.text
    raise paused if tried.result is Nothing.PAUSED else _NO_WORK
