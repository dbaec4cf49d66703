"""What the parser finds of an answer."""

from typing import Any

import httptools

_FIRST_FINAL = 200  # statuses below tell of an answer that is still to come (RFC 9110, 15.2)


class NotHttpError(ConnectionError):
    """What answers does not speak HTTP."""


class Parsed:
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
        """Parse what came.

        Raises:
            NotHttpError: It is no HTTP.
        """
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            raise NotHttpError(f"its answer is not HTTP: {error}") from error

    def header(self, name: str) -> str:
        """Return a header by its name in lower case, "" where it is absent."""
        wanted = name.encode("latin-1")
        return next((value.decode("latin-1") for key, value in self.headers if key.lower() == wanted), "")

    def on_message_begin(self) -> None:
        """Begin an answer."""
        if self.whole:  # nobody asked for what comes now, so nobody knows what else will
            self._beyond, self.keep = True, False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Take the status."""
        status = int(self._parser.get_status_code())
        if status >= _FIRST_FINAL and not self._beyond:
            self.status, self.keep = status, bool(self._parser.should_keep_alive())

    def on_body(self, piece: bytes) -> None:
        """Take a piece of the body."""
        if not self._beyond:
            self.body.append(piece)

    def on_message_complete(self) -> None:
        """End an answer."""
        self.whole = bool(self.status)
        if not self.status:  # it was an interim answer; the one that counts follows
            self.headers.clear()
