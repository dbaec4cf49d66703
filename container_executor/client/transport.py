"""The connections to one server: places for calls, time and size limits, and what breaks on the way."""

import contextlib
import io
import time
from collections.abc import AsyncGenerator, Iterator
from datetime import timedelta

import aiohttp
import anyio
import attrs

from container_executor.client import unreached
from container_executor.client.address import HEADERS, Address
from container_executor.client.clock import ServerClock, boot_time
from container_executor.client.envelope import Answer
from container_executor.client.errors import ProtocolError
from container_executor.connections import CONNECT, IDLE

_LARGE = 2**20  # bytes; aiohttp warns of larger bodies that are bytes


@attrs.define(eq=False)
class Transport:
    """The connections of a family of clients. Opened on first use, at most one for each call in flight, idle ones for 60 s.

    A Colonies server can lock up for good when more calls read processes at once than half its database connections, so
    there is a bound on the calls in flight: *limit* in all, of which one place is kept for the call that polls for work. That
    one waits in the server for most of its time and must neither hold up the others nor wait for them.
    """

    address: Address
    limit: int
    reply_limit: int
    clock: ServerClock
    _places: anyio.CapacityLimiter = attrs.field(init=False)
    _polls: dict[str, anyio.CapacityLimiter] = attrs.Factory(dict)
    _session: aiohttp.ClientSession | None = None

    def __attrs_post_init__(self) -> None:
        """Prepare the places."""
        self._places = anyio.CapacityLimiter(max(1, self.limit - 1))

    def place(self, poller: str = "") -> anyio.CapacityLimiter:
        """Return where a call has to wait for its turn: among all, or for a poll among those of the same *poller*."""
        if not poller:
            return self._places
        return self._polls.setdefault(poller, anyio.CapacityLimiter(1))

    async def pause(self, seconds: float) -> None:
        """Wait."""
        await anyio.sleep(seconds)

    async def post(self, body: bytes, within: float) -> Answer:
        """Send a call and return its answer, within so many seconds.

        Raises:
            NoAnswerError: No answer, or not all of it.
            ProtocolError: An answer larger than the limit, or no HTTP.
        """
        sent = boot_time()
        session = self._open()
        with _network_errors(self.address):
            async with session.post(
                self.address.at("api"),
                data=io.BytesIO(body) if len(body) > _LARGE else body,
                timeout=aiohttp.ClientTimeout(total=within, sock_connect=min(CONNECT, within)),
                allow_redirects=False,
            ) as response:
                self.clock.saw(response.headers.get("Date", ""), sent, boot_time())
                return Answer(await self._body(response), response.status)

    async def listen(self, body: bytes, lasting: timedelta) -> AsyncGenerator[Answer, None]:
        """Open a websocket of its own, send *body*, and yield what comes until the server closes it or *lasting* is over."""
        end = time.monotonic() + lasting.total_seconds()
        with _network_errors(self.address):
            with anyio.fail_after(CONNECT):
                socket = await self._open().ws_connect(self.address.at("pubsub"), max_msg_size=self.reply_limit)
            async with socket:
                await socket.send_str(body.decode())
                while (answer := await _event(socket, end)) is not None:
                    yield answer

    async def close(self) -> None:
        """Close all connections; calls that are still in flight fail."""
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=IDLE),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers=HEADERS,
                auto_decompress=False,
            )
        return self._session

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        body = bytearray()
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > self.reply_limit:
                raise unreached.too_large(self.reply_limit)
        return bytes(body)


async def _event(socket: aiohttp.ClientWebSocketResponse, end: float) -> Answer | None:
    """Return what comes next over a websocket; None once the connection is gone or the time is over."""
    try:
        message = await socket.receive(timeout=max(0.001, end - time.monotonic()))
    except TimeoutError:
        return None
    if message.type is aiohttp.WSMsgType.TEXT:
        return Answer(message.data.encode())
    if message.type is aiohttp.WSMsgType.BINARY:
        return Answer(message.data)
    if message.type is aiohttp.WSMsgType.ERROR and isinstance(message.data, aiohttp.WebSocketError):
        raise ProtocolError(f"the server broke the rules of the websocket: {message.data}")
    return None


@contextlib.contextmanager
def _network_errors(address: Address) -> Iterator[None]:
    """Translate what aiohttp raises."""
    try:
        yield
    except aiohttp.ClientConnectorCertificateError as error:
        raise unreached.untrusted(address, error.certificate_error) from error
    except aiohttp.ClientSSLError as error:
        raise unreached.no_tls(address, error) from error
    except TimeoutError as error:
        raise unreached.late(address) from error
    except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, OSError) as error:
        raise unreached.silent(address, error) from error
    except aiohttp.ClientError as error:
        raise unreached.strange(address, error) from error
