"""What the clients of a family share: their ways to the server, and its clock."""

import enum
from typing import TYPE_CHECKING

import attrs

from container_executor.client.address import Address
from container_executor.client.blocking import BlockingTransport
from container_executor.client.clock import ServerClock

if TYPE_CHECKING:
    from container_executor.client.transport import Transport


class Way(enum.Enum):
    """How a client makes its calls."""

    LOOP = enum.auto()
    """In the event loop: many that wait at once, and subscriptions."""
    THREAD = enum.auto()
    """Each in a thread, for which the event loop waits: a few, without the import of aiohttp. Polls are made in the loop."""
    BLOCKING = enum.auto()
    """In the thread of the caller, by coroutines that never wait: thousands."""


@attrs.define(eq=False)
class Network:
    """The ways to one server, one for event loops and one for threads, each with the limit on calls in flight to itself.

    Attributes:
        address: The server.
        limit: Calls in flight at once.
        reply_limit: Bytes of the largest answer that is taken.
        clock: Reckons the server's time.
    """

    address: Address
    limit: int
    reply_limit: int
    clock: ServerClock = attrs.field(factory=ServerClock)
    _threads: BlockingTransport = attrs.field(init=False)
    _loop: "Transport | None" = None
    _closed: bool = False

    def __attrs_post_init__(self) -> None:
        """Prepare; connect later."""
        self._threads = BlockingTransport(self.address, self.limit, self.reply_limit, self.clock)

    def by(self, way: Way) -> "Transport | BlockingTransport":
        """Return the connections of a way.

        Raises:
            RuntimeError: The clients have been closed.
        """
        if self._closed:
            raise RuntimeError("the client is closed")
        return self._threads if way is Way.BLOCKING else self.loop

    @property
    def loop(self) -> "Transport":
        """The connections of the event loop."""
        if self._loop is None:
            # aiohttp takes as long to import as all the rest of a command, which may do without.
            from container_executor.client.transport import Transport  # noqa: PLC0415

            self._loop = Transport(self.address, self.limit, self.reply_limit, self.clock)
        return self._loop

    async def close(self) -> None:
        """Close all connections; calls of an event loop that are still in flight fail."""
        self._closed = True
        self._threads.close()
        if self._loop is not None:
            await self._loop.close()
