"""Sends an object to an S3 store while it is being read, by one request to a signed address, over a connection of its own.

obstore takes an object in one piece, all of it in memory, or in the parts of a multipart upload, of at least 5 MB each. For files
between the two a stream is faster, and its memory does not grow with them.
"""

import http.client
import re
import ssl
import urllib.request
from collections.abc import Iterable
from contextlib import closing
from urllib.parse import SplitResult, urlsplit

import attrs

_SILENCE = 30.0  # seconds
_CODE = re.compile(rb"<Code>(\w+)</Code>")
_ANSWER = 2**16  # bytes; an error of S3 is some hundred


@attrs.frozen
class Answer:
    """What the store answered.

    Attributes:
        status: Of HTTP.
        code: S3's own word for an error, "" where it says none.
    """

    status: int
    code: str = ""

    @property
    def good(self) -> bool:
        """The object is stored."""
        return self.status // 100 == 2


def is_direct(scheme: str, host: str) -> bool:
    """Return whether a host is reached without a proxy, as far as the environment says (``https_proxy``, ``no_proxy``, ...)."""
    proxies = urllib.request.getproxies()
    return not (scheme in proxies or "all" in proxies) or bool(urllib.request.proxy_bypass(host))


def put(url: str, size: int, pieces: Iterable[memoryview], *, verify: bool) -> Answer:
    """Put the *size* bytes of *pieces* to a signed address; an error among the pieces leaves no object.

    Raises:
        OSError: The store does not answer, or ended the connection too early.
    """
    address = urlsplit(url)
    with closing(_connection(address, verify=verify)) as connection:
        connection.putrequest("PUT", f"{address.path}?{address.query}")
        connection.putheader("Content-Length", str(size))
        connection.endheaders()
        whole = _send(connection, pieces)
        try:
            reply = connection.getresponse()
            found = _CODE.search(reply.read(_ANSWER))
        except http.client.HTTPException as error:
            raise ConnectionError(f"it does not answer as HTTP does: {error!r}") from error
        answer = Answer(reply.status, found[1].decode() if found else "")
    if answer.good and not whole:
        raise ConnectionError("it ended the connection before it had everything")
    return answer


def _send(connection: http.client.HTTPConnection, pieces: Iterable[memoryview]) -> bool:
    """Send all pieces; return False where the store wants no more, whose answer tells why."""
    for piece in pieces:
        try:
            connection.send(piece)
        except (BrokenPipeError, ConnectionResetError):
            return False
    return True


def _connection(address: SplitResult, *, verify: bool) -> http.client.HTTPConnection:
    host = address.hostname or ""
    if address.scheme == "http":
        return http.client.HTTPConnection(host, address.port, timeout=_SILENCE)
    return http.client.HTTPSConnection(host, address.port, timeout=_SILENCE, context=tls_context(verify=verify))


def tls_context(*, verify: bool) -> ssl.SSLContext:
    """Return how the store's certificate is checked, or that it is not."""
    context = ssl.create_default_context()
    if not verify:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context
