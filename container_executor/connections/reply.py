"""An answer, read from its connection as it comes."""

from collections.abc import Iterator
from typing import Any

import httptools

from container_executor.connections.connection import Connection

_MOST_HEADERS = 2**16  # bytes before the body of an answer
_FIRST_FINAL = 200  # statuses below tell of an answer that is still to come (RFC 9110, 15.2)
_CUT = "it ended the connection before its answer was whole"


class NotHttpError(ConnectionError):
    """What answers does not speak HTTP."""


class _Parsed:
    """What the parser has found of an answer; its ``on_`` methods are called by the parser."""

    def __init__(self) -> None:
        self._parser: Any = httptools.HttpResponseParser(self)
        self.begin()

    def begin(self) -> None:
        """Forget the answer before."""
        self.status = 0
        self.headers = list[tuple[bytes, bytes]]()
        self.body = list[bytes]()
        self.whole = self.keep = self._beyond = False

    def feed(self, data: memoryview) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            raise NotHttpError(f"its answer is not HTTP: {error}") from error

    def header(self, name: str) -> str:
        wanted = name.encode("latin-1")
        return next((value.decode("latin-1") for key, value in self.headers if key.lower() == wanted), "")

    def on_message_begin(self) -> None:
        if self.whole:  # nobody asked for what comes now, so nobody knows what else will
            self._beyond, self.keep = True, False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        status = int(self._parser.get_status_code())
        if status >= _FIRST_FINAL and not self._beyond:
            self.status, self.keep = status, bool(self._parser.should_keep_alive())

    def on_body(self, piece: bytes) -> None:
        if not self._beyond:
            self.body.append(piece)

    def on_message_complete(self) -> None:
        self.whole = bool(self.status)
        if not self.status:  # it was an interim answer; the one that counts follows
            self.headers.clear()


class Reply:
    """An answer, as it comes.

    Attributes:
        status: The HTTP status.
    """

    def __init__(self, connection: Connection, end: float) -> None:
        """Receive status and headers."""
        self._connection, self._end = connection, end
        self._parsed = parsed = connection.parsed or _Parsed()
        connection.parsed = None
        parsed.begin()
        received = 0
        while not parsed.status:
            if received > _MOST_HEADERS:
                raise NotHttpError("its answer has more headers than any should")
            received += self._parse()
        self.status = parsed.status
        length = parsed.header("content-length")
        self._left = int(length) - sum(map(len, parsed.body)) if length and not parsed.whole else 0

    @property
    def reusable(self) -> bool:
        """All of it has come, and the connection may be used again."""
        return self._parsed.whole and self._parsed.keep

    def header(self, name: str) -> str:
        """Return a header by its name in lower case, "" where it is absent."""
        return self._parsed.header(name)

    def pieces(self) -> Iterator[bytes | memoryview]:
        """Yield the body as it comes, in pieces that are valid one at a time.

        Raises:
            OSError: As in :meth:`Connections.asking`.
        """
        while True:
            yield from self._parsed.body
            self._parsed.body.clear()
            if self._parsed.whole:
                return
            if self._left:
                yield self._plain()
            else:
                self._parse()

    def read(self, limit: int) -> bytes | None:
        """Return the body; None where it has more bytes than *limit*."""
        body = bytearray()
        for piece in self.pieces():
            body += piece
            if len(body) > limit:
                return None
        return bytes(body)

    def _plain(self) -> memoryview:
        """Receive a piece of a body of known length, which the parser would only copy."""
        data = self._connection.receive(self._end)
        if not data:
            raise ConnectionResetError(_CUT)
        self._parsed.keep = self._parsed.keep and len(data) <= self._left
        data = data[: self._left]
        self._left -= len(data)
        self._parsed.whole = not self._left
        return data

    def _parse(self) -> int:
        """Receive a piece of anything else; return its size."""
        data = self._connection.receive(self._end)
        if data:
            self._parsed.feed(data)
            if self.reusable:
                self._connection.parsed = self._parsed
        elif not self._parsed.status or self.header("transfer-encoding"):
            raise ConnectionResetError(_CUT)
        else:
            self._parsed.whole = True  # an answer without a length ends with its connection (RFC 9112, 6.3)
        return len(data)
