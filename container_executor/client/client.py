"""The client: signs calls, sends them, repeats the few that may be, and checks what comes back."""

import contextlib
import copy
import random
import time
from collections.abc import AsyncGenerator, Callable, Coroutine
from datetime import datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Self, TypeVar

import attrs

from container_executor.client.address import server_address
from container_executor.client.assignment import AssignmentCalls
from container_executor.client.blocking import BlockingTransport, finished
from container_executor.client.call import Call
from container_executor.client.colonies import ColonyCalls
from container_executor.client.envelope import seal, unseal
from container_executor.client.errors import NoAnswerError
from container_executor.client.executors import ExecutorCalls
from container_executor.client.files import FileCalls
from container_executor.client.logs import LogCalls
from container_executor.client.network import Network, Way
from container_executor.client.processes import ProcessCalls
from container_executor.client.signing import Identity
from container_executor.client.workflows import WorkflowCalls

if TYPE_CHECKING:
    from container_executor.client.transport import Transport

P = ParamSpec("P")
T = TypeVar("T")

_HELD_MARGIN = timedelta(seconds=15)  # a broken workflow makes the server answer an assign call 5 s after its end
_PAUSE = 0.2  # seconds before a call is repeated, at most


@attrs.define(eq=False, slots=False)
class Client(ProcessCalls, AssignmentCalls, LogCalls, WorkflowCalls, ExecutorCalls, ColonyCalls, FileCalls):
    """An asynchronous client of one colony on a Colonies server, for asyncio or anyio on it.

    Use it as a context manager, or call :meth:`close`. Every call ends within its time limit, with its answer or with a
    :class:`container_executor.errors.ServerError`. A call whose answer was lost is sent once more only where carrying it out
    twice does no harm, and both tries together keep to the time limit. Waiting for a place among the calls in flight comes on
    top of it.

    Attributes:
        url: ``http://host:port`` or ``https://host/prefix``. The protocol has no protection against replay: across a network
            that others can read, use https.
        colony: Name of the colony that calls are about.
        identity: Who signs.
        timeout: How long a call may take; a call that waits in the server gets that wait and 15 s.
        limit: How many calls are in flight at once, for this client and those made from it with :meth:`as_`.
        reply_limit: Answers with more bytes are refused.
        way: How calls are made: in the event loop, unless :meth:`threaded` made this client.
    """

    url: str
    colony: str
    identity: Identity
    timeout: timedelta = attrs.field(default=timedelta(seconds=30), kw_only=True)
    limit: int = attrs.field(default=8, kw_only=True)
    reply_limit: int = attrs.field(default=64 * 2**20, kw_only=True)
    _network: Network = attrs.field(init=False, repr=False)
    way: Way = attrs.field(init=False, default=Way.LOOP)

    def __attrs_post_init__(self) -> None:
        """Check the address; connect later."""
        self._network = Network(server_address(self.url), self.limit, self.reply_limit)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections, which are those of all clients of the family."""
        await self._network.close()

    def as_(self, identity: Identity) -> "Client":
        """Return a client for another signer over the same connections and under the same limits. It need not be closed."""
        other = copy.copy(self)
        other.identity = identity
        return other

    def threaded(self) -> "Client":
        """Return a client for the same signer, each of whose calls is made by a thread, over connections of the threads.

        For programs that make few calls: aiohttp, which serves event loops, takes longer to import than those calls take. A
        call that is given up ends at its time limit, and has its place among the calls in flight until then.
        """
        other = copy.copy(self)
        other.way = Way.THREAD
        return other

    def from_thread(
        self, method: Callable[Concatenate["Client", P], Coroutine[Any, Any, T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Make a call from a thread, which is blocked until the answer is there: ``client.from_thread(Client.files, label)``.

        For thousands of calls: each takes a third less of the processor than one of an event loop.
        """
        other = copy.copy(self)
        other.way = Way.BLOCKING
        return finished(method(other, *args, **kwargs))

    def server_now(self) -> datetime:
        """Return the time on the server's clock, to about half a second, whatever the local clock is set to.

        Every answer tells it; in between the boot clock carries it on. Before the first answer it is the local clock's.
        """
        return self._network.clock.now()

    @property
    def _transport(self) -> "Transport | BlockingTransport":
        return self._network.by(self.way)

    async def _ask(self, call: Call[T]) -> T:
        if self.way is Way.THREAD and not call.held:
            import anyio.to_thread  # noqa: PLC0415 - threads without an event loop do not wait for its import

            return await anyio.to_thread.run_sync(lambda: self.from_thread(Client._ask, call), abandon_on_cancel=True)
        body = seal(call.message, dict(call.fields), self.identity if call.signed else None)
        async with self._transport.place(self.identity.id if call.held else ""):
            value = await self._send(call, body)
        return call.read(value, call.message)

    async def _send(self, call: Call[T], body: bytes) -> Any:
        """Send a call; the one place that repeats one: once, where that does no harm and time is left."""
        limit = call.held + _HELD_MARGIN if call.held else self.timeout
        end = time.monotonic() + limit.total_seconds()
        try:
            return await self._try(call, body, end)
        except NoAnswerError:
            if not call.repeatable or time.monotonic() > end - 2 * _PAUSE:
                raise
        await self._transport.pause(random.uniform(_PAUSE / 2, _PAUSE))  # noqa: S311 - no secret; keeps clients apart
        return await self._try(call, body, end)

    async def _try(self, call: Call[T], body: bytes, end: float) -> Any:
        answer = await self._transport.post(body, end - time.monotonic())
        return unseal(answer, call.message, call.answer)

    async def _listen(self, call: Call[T], lasting: timedelta) -> AsyncGenerator[T, None]:
        body = seal(call.message, dict(call.fields), self.identity)
        async with contextlib.aclosing(self._network.loop.listen(body, lasting + _HELD_MARGIN)) as answers:
            async for answer in answers:
                yield call.read(unseal(answer, call.message), call.message)
