"""The connections to one server, and who may use which."""

import math
import socket
import time
import weakref
from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from container_executor.connections.connection import CONNECT, Connection, time_left
from container_executor.connections.reply import Reply
from container_executor.connections.request import Request
from container_executor.connections.way import tls_context

if TYPE_CHECKING:
    import ssl

_FIRST_ERROR = 400


class Connections:
    """Connections to one server, for any number of threads. Each request has one to itself; opened as needed."""

    def __init__(self, url: str, *, verify: bool = True) -> None:
        """Take the address, of which scheme, host and port count; nothing is opened yet.

        Args:
            url: ``http://host:port`` or ``https://host:port``.
            verify: Whether the server's certificate is checked.
        """
        address = urlsplit(url)
        self._tls = address.scheme == "https"
        self._name = address.hostname or ""
        # A text would bring the tables of IDNA, which take longer than the first request.
        self._address: Any = self._name.encode() if self._name.isascii() else self._name
        self._port = address.port or (443 if self._tls else 80)
        self._host = address.netloc.rpartition("@")[2]
        self._verify = verify
        self._context: ssl.SSLContext | None = None
        self._idle = deque[Connection]()
        self._closed = False
        weakref.finalize(self, _close_all, self._idle)

    def asking(self, request: Request, within: float = math.inf) -> AbstractContextManager[Reply]:
        """Send a request; the block that follows is given the answer, and reads its body.

        Args:
            request: What is asked.
            within: Seconds for all of it.

        Raises:
            TimeoutError: The time is over, or nothing moved for 30 s.
            ssl.SSLError: The server's TLS is not what it should be.
            NotHttpError: The answer is not HTTP.
            OSError: The server cannot be reached, or ended the connection.
        """
        return self.ask(request, within).answer()

    def ask(self, request: Request, within: float = math.inf) -> "Asked":
        """Send a request, whose answer is read later; see :meth:`asking`."""
        end = time.monotonic() + within
        connection = self._take(end)
        try:
            return Asked(self, connection, end, whole=connection.send(request, self._host, end))
        except BaseException:
            connection.close()
            raise

    def give_back(self, connection: Connection) -> None:
        """Keep a connection for the next request."""
        if self._closed:
            connection.close()
        else:
            connection.since = time.monotonic()
            self._idle.append(connection)

    def close(self) -> None:
        """Close the connections that nobody uses now, and each of the others once it is not used any more."""
        self._closed = True
        _close_all(self._idle)

    def _take(self, end: float) -> Connection:
        with suppress(IndexError):
            while True:
                connection = self._idle.pop()
                if connection.usable():
                    return connection
                connection.close()
        return self._open(end)

    def _open(self, end: float) -> Connection:
        opened = socket.create_connection((self._address, self._port), timeout=time_left(end, CONNECT))
        try:
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return self._secured(opened) if self._tls else Connection(opened)
        except BaseException:
            opened.close()
            raise

    def _secured(self, opened: socket.socket) -> Connection:
        from container_executor.connections.secured import Secured  # noqa: PLC0415 - most servers of a laptop have no TLS

        self._context = self._context or tls_context(verify=self._verify)
        return Secured(self._context.wrap_socket(opened, server_hostname=self._name))


class Asked:
    """A request that has been sent, for one thread: its answer is read once, or forgotten."""

    def __init__(self, connections: Connections, connection: Connection, end: float, *, whole: bool) -> None:
        """Take the connection that it was sent over, and whether the server had the whole of it."""
        self._connections, self._connection, self._end, self._whole = connections, connection, end, whole

    @contextmanager
    def answer(self) -> Iterator[Reply]:
        """Yield the answer, whose body is read in the block. Raises as :meth:`Connections.asking` does."""
        try:
            yield (reply := self._reply())
        except BaseException:
            self.forget()
            raise
        if self._whole and reply.reusable:
            self._connections.give_back(self._connection)
        else:
            self.forget()

    def _reply(self) -> Reply:
        reply = Reply(self._connection, self._end)
        if not self._whole and reply.status < _FIRST_ERROR:  # only a refusal is an answer to a part of a request
            raise ConnectionError("it ended the connection before it had everything")
        return reply

    def forget(self) -> None:
        """Want no answer any more."""
        self._connection.close()


def _close_all(idle: deque[Connection]) -> None:
    with suppress(IndexError):
        while True:
            idle.pop().close()
