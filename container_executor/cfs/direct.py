"""Objects of an S3 store, by plain requests over connections that are kept.

A small object takes half of the processor time of obstore's own calls (docs/decisions/small-requests-are-our-own.md), and a larger
one is stored while it is being read: obstore takes it in one piece, all of it in memory, or in the parts of a multipart upload.
"""

import http
import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

import attrs

from container_executor.cfs.errors import StoreUnavailableError
from container_executor.cfs.signature import Signer
from container_executor.cfs.store_errors import refusal
from container_executor.connections import Asked, Connections, Pieces, Reply, Request

_CODE = re.compile(rb"<Code>(\w+)</Code>")
_ANSWER = 2**16  # bytes; an error of S3 is some hundred


@attrs.frozen(eq=False)
class Direct:
    """The objects of one bucket. Every call blocks.

    Attributes:
        name: What messages call the store.
        connections: Lead to it.
        signer: Signs.
        root: Path that all its objects are below.
    """

    name: str
    connections: Connections
    signer: Signer
    root: str

    def put(self, key: str, body: memoryview | bytes | bytearray | Pieces) -> None:
        """Store an object. An error among the pieces of a body leaves none.

        Raises:
            StoreError: The store refused, failed, or does not have the bucket.
            OSError: It does not answer, or ended the connection too early.
        """
        with self.connections.asking(self._request("PUT", key, body=body)) as reply:
            self._accepted(reply).read(_ANSWER)

    def ask(self, key: str) -> Asked:
        """Ask for an object. Raises as :meth:`getting` does."""
        return self.connections.ask(self._request("GET", key))

    def content(self, asked: Asked, most: int) -> bytes | None:
        """Return an object that was asked for; None where it has more than *most* bytes. Raises as :meth:`getting` does."""
        with asked.answer() as reply:
            return self._accepted(reply).read(most)

    @contextmanager
    def getting(self, key: str, start: int = 0) -> Iterator[Iterator[bytes | memoryview]]:
        """Yield the pieces of an object, from the byte *start*.

        Raises:
            StoreError: The store refused, failed, or does not have it.
            OSError: It does not answer, or ended the connection too early.
        """
        headers = {"Range": f"bytes={start}-"} if start else {}
        with self.connections.asking(self._request("GET", key, headers)) as reply:
            self._accepted(reply)
            if start and reply.status != http.HTTPStatus.PARTIAL_CONTENT:
                raise StoreUnavailableError(f"{self.name} sent all of an object of which a part was asked for")
            yield reply.pieces()

    def _request(
        self,
        method: str,
        key: str,
        headers: dict[str, str] | None = None,
        body: memoryview | bytes | bytearray | Pieces = b"",
    ) -> Request:
        path = f"{self.root}/{quote(key)}"
        return Request(method, path, self.signer.headers(method, path) | (headers or {}), body)

    def _accepted(self, reply: Reply) -> Reply:
        if reply.status // 100 == 2:
            return reply
        found = _CODE.search(reply.read(_ANSWER) or b"")
        code = found[1].decode() if found else ""
        raise refusal(self.name, reply.status, code)
