"""A request, and the bytes that it is sent as."""

from collections.abc import Iterable, Iterator, Mapping

import attrs

PIECE = 2**18
"""Bytes that are sent at a time."""
_TOGETHER = 2**16  # bytes of a body that is sent in one packet with its headers


@attrs.frozen
class Pieces:
    """A body that is sent as it comes: *size* bytes in all, none of its pieces large."""

    size: int
    pieces: Iterable[memoryview]

    def __len__(self) -> int:
        return self.size


@attrs.frozen
class Request:
    """A request.

    Attributes:
        method: ``GET``, ``PUT`` or ``POST``.
        target: Path and query, as they are sent.
        headers: All but ``Host`` and ``Content-Length``.
        body: What is sent.
    """

    method: str
    target: str
    headers: Mapping[str, str] = attrs.field(factory=dict)
    body: bytes | bytearray | memoryview | Pieces = b""

    def _head(self, host: str) -> bytes:
        """Return what is sent before the body."""
        length = "" if self.method == "GET" else f"Content-Length: {len(self.body)}\r\n"
        lines = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
        return f"{self.method} {self.target} HTTP/1.1\r\nHost: {host}\r\n{length}{lines}\r\n".encode("latin-1")

    def sent(self, host: str) -> Iterator[bytes | memoryview]:
        """Yield what is sent to a host, in pieces: the time for each of them counts from its beginning."""
        head, body = self._head(host), self.body
        if isinstance(body, Pieces):
            yield head
            yield from body.pieces
        elif len(body) <= _TOGETHER:
            yield b"".join((head, body))
        else:
            yield head
            view = memoryview(body)
            yield from (view[start : start + PIECE] for start in range(0, len(view), PIECE))
