"""The connections of threads to one server: a call blocks its thread, which takes a third less of the processor than in a loop.

Its coroutines do what those of :class:`container_executor.client.transport.Transport` do, but never wait; :func:`finished` runs them.
"""

import time
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from queue import SimpleQueue
from typing import Any, TypeVar

import attrs

from container_executor.client import unreached
from container_executor.client.address import HEADERS, Address
from container_executor.client.clock import ServerClock, boot_time
from container_executor.client.envelope import Answer
from container_executor.connections import Connections, NotHttpError, Request
from container_executor.errors import ServerError

T = TypeVar("T")


@attrs.define(eq=False)
class BlockingTransport:
    """The connections of a family of clients for its calls from threads.

    As in an event loop, *limit* calls are in flight at once, with the one place that is kept for a poll, which no thread makes.
    """

    address: Address
    limit: int
    reply_limit: int
    clock: ServerClock
    _places: "SimpleQueue[None]" = attrs.field(factory=SimpleQueue)
    _connections: Connections = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        """Prepare the places; connect later."""
        for _ in range(max(1, self.limit - 1)):
            self._places.put(None)
        self._connections = Connections(self.address.origin)

    @asynccontextmanager
    async def place(self, _poller: str = "") -> AsyncIterator[None]:
        """Wait for a turn among all threads."""
        self._places.get()  # a Semaphore costs more than the call's HTTP where threads wait for it
        try:
            yield
        finally:
            self._places.put(None)

    async def pause(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)  # noqa: ASYNC251 - it blocks a thread, which is what it is for

    async def post(self, body: bytes, within: float) -> Answer:
        """Send a call and return its answer, within so many seconds.

        Raises:
            NoAnswerError: No answer, or not all of it.
            ProtocolError: An answer larger than the limit, or no HTTP.
        """
        sent = boot_time()
        request = Request("POST", self.address.target("api"), HEADERS, body)
        with _network_errors(self.address), self._connections.asking(request, within) as reply:
            self.clock.saw(reply.header("date"), sent, boot_time())
            whole = reply.read(self.reply_limit)
        if whole is None:
            raise unreached.too_large(self.reply_limit)
        return Answer(whole, reply.status)

    def close(self) -> None:
        """Close the connections that no thread uses now."""
        self._connections.close()


def finished(coroutine: Coroutine[Any, Any, T]) -> T:
    """Return what a coroutine returns that never waits."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        value: T = end.value
        return value
    coroutine.close()
    raise RuntimeError("the coroutine waits")


@contextmanager
def _network_errors(address: Address) -> Iterator[None]:
    """Translate what the operating system and TLS raise."""
    try:
        yield
    except OSError as error:
        raise _told(address, error) from error


def _told(address: Address, error: OSError) -> ServerError:
    import ssl  # noqa: PLC0415 - most servers of a laptop have none

    match error:
        case ssl.SSLCertVerificationError():
            return unreached.untrusted(address, error.verify_message)
        case ssl.SSLError():
            return unreached.no_tls(address, error)
        case TimeoutError():
            return unreached.late(address)
        case NotHttpError():
            return unreached.strange(address, error)
    return unreached.silent(address, error)
