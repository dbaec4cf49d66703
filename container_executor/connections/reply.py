"""An answer, read from its connection as it comes."""

from collections.abc import Iterator

from container_executor.connections.connection import MOST, Connection
from container_executor.connections.parsed import NotHttpError, Parsed

_MOST_HEADERS = 2**16  # bytes before the body of an answer
_CUT = "it ended the connection before its answer was whole"


class Reply:
    """An answer, as it comes.

    Attributes:
        status: The HTTP status.
    """

    def __init__(self, connection: Connection, end: float) -> None:
        """Receive status and headers."""
        self._connection, self._end = connection, end
        self._parsed = parsed = connection.parsed or Parsed()
        connection.parsed = None
        parsed.begin()
        received = 0
        while not parsed.status:
            if received > _MOST_HEADERS:
                raise NotHttpError("its answer has more headers than any should")
            received += self._parse(_MOST_HEADERS)
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

    def _parse(self, most: int = MOST) -> int:
        """Receive a piece of anything else, of which the parser copies what is body; return its size."""
        data = self._connection.receive(self._end, most)
        if data:
            self._parsed.feed(data)
            if self.reusable:
                self._connection.parsed = self._parsed
        elif not self._parsed.status or self.header("transfer-encoding"):
            raise ConnectionResetError(_CUT)
        else:
            self._parsed.whole = True  # an answer without a length ends with its connection (RFC 9112, 6.3)
        return len(data)
