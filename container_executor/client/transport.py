"""The connections to one server: places for calls, time and size limits, and what breaks on the way."""

import contextlib
import io
import time
from collections.abc import AsyncGenerator, Iterator
from datetime import timedelta

import aiohttp
import anyio
import attrs
from yarl import URL

from container_executor.client.clock import ServerClock, boot_time
from container_executor.client.envelope import Answer
from container_executor.client.errors import NoAnswerError, ProtocolError
from container_executor.errors import SettingsError

_CONNECT = 10.0  # seconds
_IDLE = 60.0  # seconds; the Go server closes connections that were idle for 120
_LARGE = 2**20  # bytes; aiohttp warns of larger bodies that are bytes
_HEADERS = {"Content-Type": "application/json", "Accept-Encoding": "identity", "User-Agent": "container-executor"}


def server_url(text: str) -> URL:
    """Parse the address of a server: ``http`` or ``https``, a host, perhaps a port and a path before ``/api``.

    Raises:
        SettingsError: It is no such address; the message says what was expected.
    """
    try:
        url = URL(text)
    except ValueError:
        url = URL()
    if url.scheme not in ("http", "https") or not url.host:
        raise SettingsError(f"{text!r} is no address of a Colonies server; write http://host:port or https://host/path")
    if url.user or url.password or url.query or url.fragment:
        raise SettingsError(f"the server's address {url.host!r} must have no user, password, query or fragment")
    return url


@attrs.define(eq=False)
class Transport:
    """The connections of a family of clients. Opened on first use, at most one for each call in flight, idle ones for 60 s.

    A Colonies server can lock up for good when more calls read processes at once than half its database connections, so
    there is a bound on the calls in flight: *limit* in all, of which one place is kept for the call that polls for work. That
    one waits in the server for most of its time and must neither hold up the others nor wait for them.
    """

    url: URL
    limit: int
    reply_limit: int
    clock: ServerClock = attrs.Factory(ServerClock)
    _places: anyio.CapacityLimiter = attrs.field(init=False)
    _polls: dict[str, anyio.CapacityLimiter] = attrs.Factory(dict)
    _session: aiohttp.ClientSession | None = None
    _closed: bool = False

    def __attrs_post_init__(self) -> None:
        """Prepare the places."""
        self._places = anyio.CapacityLimiter(max(1, self.limit - 1))

    def place(self, poller: str = "") -> anyio.CapacityLimiter:
        """Return where a call has to wait for its turn: among all, or for a poll among those of the same *poller*."""
        if not poller:
            return self._places
        return self._polls.setdefault(poller, anyio.CapacityLimiter(1))

    async def post(self, body: bytes, within: float) -> Answer:
        """Send a call and return its answer, within so many seconds.

        Raises:
            NoAnswerError: No answer, or not all of it.
            ProtocolError: An answer larger than the limit, or no HTTP.
        """
        sent = boot_time()
        session = self._open()
        with _network_errors(self.url):
            async with session.post(
                self.url / "api",
                data=io.BytesIO(body) if len(body) > _LARGE else body,
                timeout=aiohttp.ClientTimeout(total=within, sock_connect=min(_CONNECT, within)),
                allow_redirects=False,
            ) as response:
                self.clock.saw(response.headers.get("Date", ""), sent, boot_time())
                return Answer(await self._body(response), response.status)

    async def listen(self, body: bytes, lasting: timedelta) -> AsyncGenerator[Answer, None]:
        """Open a websocket of its own, send *body*, and yield what comes until the server closes it or *lasting* is over."""
        end = time.monotonic() + lasting.total_seconds()
        with _network_errors(self.url):
            with anyio.fail_after(_CONNECT):
                socket = await self._open().ws_connect(self.url / "pubsub", max_msg_size=self.reply_limit)
            async with socket:
                await socket.send_str(body.decode())
                while (answer := await _event(socket, end)) is not None:
                    yield answer

    async def close(self) -> None:
        """Close all connections; calls that are still in flight fail."""
        self._closed = True
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._closed:
            raise RuntimeError("the client is closed")
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_IDLE),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers=_HEADERS,
                auto_decompress=False,
            )
        return self._session

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        body = bytearray()
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > self.reply_limit:
                raise ProtocolError(f"the server's answer is larger than {self.reply_limit} bytes")
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
def _network_errors(url: URL) -> Iterator[None]:
    """Translate what aiohttp raises."""
    where = f"the server at {url}"
    try:
        yield
    except aiohttp.ClientConnectorCertificateError as error:
        raise ProtocolError(f"{where} has a certificate that is not trusted: {error.certificate_error}") from error
    except aiohttp.ClientSSLError as error:
        raise ProtocolError(f"{where} does not speak TLS as expected ({error}); does it want http://?") from error
    except TimeoutError as error:
        raise NoAnswerError(f"{where} did not answer in time") from error
    except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, OSError) as error:
        raise NoAnswerError(f"{where} does not answer: {error or type(error).__name__}") from error
    except aiohttp.ClientError as error:
        raise ProtocolError(f"{where} does not answer as a Colonies server does: {error}") from error
