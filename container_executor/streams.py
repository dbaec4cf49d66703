"""Many log streams over HTTP, followed by one daemon thread.

Engines such as Docker and Kubernetes give a job's output as an HTTP answer without end. A thread for each does not scale, and
asking again and again reads the whole log each time. Here one thread keeps them all open with aiohttp; what arrives waits in a
bounded buffer until it is taken, and a stream whose buffer is full is not read: the engine holds it back.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from ssl import SSLContext
from types import MappingProxyType

import aiohttp
import attrs

BUFFER = 131_072
"""Bytes of one stream that wait to be taken at most, besides the 64 KiB that the HTTP client itself holds."""
CONNECT_SECONDS = 10.0
HANGS = 5.0
"""Seconds of silence after which the stream of a program that has ended is on a connection that the network has lost."""
ERROR_BYTES = 2000


@attrs.frozen
class Endpoint:
    """Where streams come from.

    Attributes:
        url: Base URL without a trailing slash; the host is ignored with *socket*.
        socket: Path of a Unix socket, "" for TCP.
        ssl: How TLS is verified, where the URL is https.
        headers: Sent with every request; never logged.
    """

    url: str
    socket: str = ""
    ssl: SSLContext | None = attrs.field(default=None, eq=id)
    headers: Mapping[str, str] = attrs.field(
        default=MappingProxyType({}), repr=False, eq=lambda value: tuple(value.items())
    )


@attrs.define(eq=False)
class Stream:
    """One answer without end, as far as it has come.

    Attributes:
        status: HTTP status, 0 before the answer began.
        ended: Nothing more will arrive; what is buffered can still be taken.
        error: Why it ended early: the engine's words, or the connection's; "" for a clean end. After an error the last bytes that
            the HTTP client held may be missing: whoever wants them opens the stream again from where the data ended.
        heard: When something arrived last, on the monotonic clock; before that, when it was opened.
        data: What waits to be taken, under *lock*; a full buffer waits for *room*. These and *task* are for :class:`Streams`.
    """

    status: int = 0
    ended: bool = False
    error: str = ""
    heard: float = attrs.field(factory=time.monotonic)
    data: bytearray = attrs.field(factory=bytearray)
    lock: threading.Lock = attrs.field(factory=threading.Lock)
    room: asyncio.Event = attrs.field(factory=asyncio.Event)
    task: "Future[None] | None" = None

    @property
    def waiting(self) -> int:
        """Bytes that can be taken now."""
        return len(self.data)


class Streams:
    """Follow streams by key. All methods may be called from any thread and return at once."""

    def __init__(self) -> None:
        self._streams: dict[str, Stream] = {}
        self._sessions: dict[Endpoint, aiohttp.ClientSession] = {}
        self._start = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def open(self, key: str, endpoint: Endpoint, path: str, *, on_data: Callable[[], None] | None = None) -> Stream:
        """Begin to follow ``endpoint.url + path`` under *key*, or return the stream that has this key already.

        Args:
            key: Unique among the open streams.
            endpoint: Where it comes from.
            path: Path and query.
            on_data: Called in the streams' own thread when something arrived or the stream ended; must be quick.
        """
        loop = self._running_loop()
        stream = self._streams.get(key)
        if stream is None:
            stream = self._streams[key] = Stream()
            stream.task = asyncio.run_coroutine_threadsafe(self._follow(stream, endpoint, path, on_data), loop)
        return stream

    def get(self, key: str) -> Stream | None:
        """Return the stream of *key*, None where it is not open."""
        return self._streams.get(key)

    def take(self, key: str, limit: int) -> bytes:
        """Take at most *limit* bytes of what has arrived, in order; b"" where nothing has."""
        stream, loop = self._streams.get(key), self._loop
        if stream is None or loop is None:
            return b""
        with stream.lock:
            taken = bytes(stream.data[:limit])
            del stream.data[:limit]
        if taken:
            loop.call_soon_threadsafe(stream.room.set)
        return taken

    def ended(self, key: str) -> bool:
        """Return whether nothing more can be taken, now or later."""
        stream = self._streams.get(key)
        return stream is None or (stream.ended and not stream.waiting)

    def hangs(self, key: str) -> bool:
        """Return whether nothing has come for so long that, if its program has ended, the stream should be opened anew."""
        stream = self._streams.get(key)
        return stream is not None and not stream.waiting and time.monotonic() > stream.heard + HANGS

    def close(self, key: str) -> None:
        """Follow *key* no more; what was not taken is gone."""
        stream = self._streams.pop(key, None)
        if stream is not None and stream.task is not None:
            stream.task.cancel()

    def close_all(self) -> None:
        """Close every stream and end the thread."""
        for key in list(self._streams):
            self.close(key)
        loop, self._loop = self._loop, None
        if loop is not None:
            asyncio.run_coroutine_threadsafe(self._close_sessions(), loop).result(CONNECT_SECONDS)
            loop.call_soon_threadsafe(loop.stop)

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        with self._start:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=_run, args=(self._loop,), name="streams", daemon=True).start()
            return self._loop

    async def _close_sessions(self) -> None:
        sessions, self._sessions = self._sessions, {}
        for session in sessions.values():
            await session.close()

    async def _follow(self, stream: Stream, endpoint: Endpoint, path: str, on_data: Callable[[], None] | None) -> None:
        try:
            await self._read(stream, endpoint, path, on_data)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            stream.error = str(error) or type(error).__name__
        finally:
            stream.ended = True
            if on_data is not None:
                on_data()

    async def _read(self, stream: Stream, endpoint: Endpoint, path: str, on_data: Callable[[], None] | None) -> None:
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)
        ssl = True if endpoint.ssl is None else endpoint.ssl
        async with self._session(endpoint).get(endpoint.url + path, timeout=timeout, ssl=ssl) as answer:
            stream.status = answer.status
            if answer.status != 200:
                stream.error = (
                    (await answer.content.read(ERROR_BYTES)).decode("utf-8", "replace").strip() or answer.reason or "?"
                )
                return
            async for data in answer.content.iter_any():
                await self._keep(stream, data)
                if on_data is not None:
                    on_data()

    async def _keep(self, stream: Stream, data: bytes) -> None:
        stream.heard = time.monotonic()
        with stream.lock:
            stream.data += data
        while stream.waiting >= BUFFER:
            stream.room.clear()
            if stream.waiting >= BUFFER:
                await stream.room.wait()

    def _session(self, endpoint: Endpoint) -> aiohttp.ClientSession:
        session = self._sessions.get(endpoint)
        if session is None:
            connector: aiohttp.BaseConnector = (
                aiohttp.UnixConnector(endpoint.socket, limit=0) if endpoint.socket else aiohttp.TCPConnector(limit=0)
            )
            session = self._sessions[endpoint] = aiohttp.ClientSession(connector=connector, headers=endpoint.headers)
        return session


def _run(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    loop.run_forever()
    loop.close()
