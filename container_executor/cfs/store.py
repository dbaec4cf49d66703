"""The object store that holds the contents, by short blocking calls that threads make.

Its calls are the synchronous ones of obstore: they need no event loop, so an interpreter that exits never meets one of their
callbacks. Memory is bounded by the caller, who never has much more than :data:`~container_executor.cfs.budget.IN_MEMORY` under way.
"""

import os
import secrets
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from container_executor.cfs.direct import Direct
from container_executor.cfs.errors import BucketMissingError, StoreUnavailableError
from container_executor.cfs.store_errors import translated
from container_executor.connections import Asked, Pieces

if TYPE_CHECKING:  # stubs: they are not there at run time
    from obstore import GetOptions

CHUNK = 2**18
_KEY = 64


def _obstore() -> Any:
    import obstore.exceptions  # noqa: PLC0415 - what moves nothing need not wait for it

    return obstore


@attrs.frozen
class Place:
    """Where a store says it is, as file records keep it. Readers use their own settings; it is for people."""

    server: str = ""
    bucket: str = ""
    region: str = ""
    tls: bool = False


@attrs.frozen(eq=False)
class Store:
    """An object store. Every call blocks, and raises :class:`StoreError` or :class:`DiskError` only.

    Attributes:
        name: What messages call it.
        place: What file records say of it.
        verify: Whether certificates are checked.
        direct: Leads to its objects; None where all goes through obstore, as it does in a folder and through a proxy.
        folder: Where its objects are files, by their keys; None for a server.
    """

    name: str
    place: Place
    _open: Callable[[], Any]
    verify: bool = True
    direct: Direct | None = None
    folder: Path | None = None
    _lock: threading.Lock = attrs.field(factory=threading.Lock)

    @property
    def _inner(self) -> Any:
        with self._lock:  # many threads may want it first
            return self._opened

    @cached_property
    def _opened(self) -> Any:
        return self._open()

    @property
    def streams(self) -> bool:
        """It takes an object piece by piece."""
        return self.direct is not None

    def new_key(self, prefix: str = "") -> str:
        """Return a key that no object has: 64 hex digits, as the official client makes them, of which *prefix* is the first."""
        return prefix + secrets.token_hex(_KEY // 2)[len(prefix) :]

    def put(self, key: str, data: bytes | bytearray | memoryview) -> None:
        """Store an object in one piece."""
        try:
            self._put(key, data)
        except BucketMissingError:
            self._make_bucket()
            self._put(key, data)

    def _put(self, key: str, data: bytes | bytearray | memoryview) -> None:
        with self._told():
            if self.direct is not None:
                self.direct.put(key, data)
            else:
                _obstore().put(self._inner, key, data, use_multipart=False)
                self._wait_for_disk(key)

    def put_streamed(self, key: str, size: int, pieces: Iterable[memoryview]) -> None:
        """Store an object of *size* bytes while it is being read; none of it but a piece is in memory. See :attr:`streams`."""
        if self.direct is None:
            raise ValueError(f"{self.name} takes no object piece by piece")
        with self._making_bucket():
            self.direct.put(key, Pieces(size, pieces))

    @contextmanager
    def writing(self, key: str, *, part: int, at_once: int) -> Iterator[Any]:
        """Yield a writer of a large object; the object is there once the block has ended well.

        Args:
            key: Its key.
            part: Bytes of each part, of which S3 takes 10,000 (S3 user guide, multipart upload limits).
            at_once: Parts that are in memory on their way at once.
        """
        with self._making_bucket():
            # The writer has no way to abort. What is never closed never becomes an object; the store's own rules end its parts.
            writer = _obstore().open_writer(self._inner, key, buffer_size=part, max_concurrency=at_once)
            yield writer
            writer.close()
            self._wait_for_disk(key)

    def _wait_for_disk(self, key: str) -> None:
        """Wait until the disk has an object of a folder, as a server does by itself: the record of it will be on one."""
        if self.folder is not None:
            with (self.folder / key).open("rb") as file:
                os.fsync(file.fileno())

    def size(self, key: str) -> int:
        """Return the size of an object in bytes."""
        with self._told():
            return int(_obstore().head(self._inner, key)["size"])

    def read(self, key: str, start: int = 0) -> Iterator[bytes | memoryview]:
        """Yield the content of an object piece by piece, from the byte *start*."""
        if self.direct is not None:
            with self._told(), self.direct.getting(key, start) as pieces:
                yield from pieces
            return
        options: GetOptions = {"range": {"offset": start}} if start else {}
        with self._told():
            for piece in _obstore().get(self._inner, key, options=options).stream(min_chunk_size=CHUNK):
                yield memoryview(piece)

    def content(self, key: str, most: int) -> bytes | None:
        """Return the content of a small object; None where it has more than *most* bytes."""
        if self.direct is not None:
            return self.answer(self.ask(key), most)
        content = bytearray()
        for piece in self.read(key):
            content += piece
            if len(content) > most:
                return None
        return bytes(content)

    def ask(self, key: str) -> Asked:
        """Ask for a small object, where the store has a :attr:`direct` way; :meth:`answer` returns it."""
        if self.direct is None:
            raise ValueError(f"{self.name} cannot be asked without waiting for the answer")
        with self._told():
            return self.direct.ask(key)

    def answer(self, asked: Asked, most: int) -> bytes | None:
        """Return the content of a small object that was asked for; None where it has more than *most* bytes."""
        if self.direct is None:
            raise ValueError(f"{self.name} was not asked")
        with self._told():
            return self.direct.content(asked, most)

    def delete(self, keys: Sequence[str]) -> None:
        """Delete objects; one that is not there is fine."""
        with self._told():
            for start in range(0, len(keys), 1000):
                try:
                    _obstore().delete(self._inner, list(keys[start : start + 1000]))
                except FileNotFoundError:  # a local folder says so; the others of the piece may be left
                    self._delete_one_by_one(keys[start : start + 1000])

    def _delete_one_by_one(self, keys: Sequence[str]) -> None:
        for key in keys:
            try:
                _obstore().delete(self._inner, key)
            except FileNotFoundError:
                continue

    def listing(self, prefix: str = "") -> Iterator[tuple[str, int, float]]:
        """Yield key, size in bytes and time of storing, in seconds since 1970, of the objects whose keys begin with *prefix*."""
        with self._told():
            for batch in _obstore().list(self._inner):
                for item in batch:
                    if item["path"].startswith(prefix):
                        yield item["path"], int(item["size"]), item["last_modified"].timestamp()

    @contextmanager
    def _making_bucket(self) -> Iterator[None]:
        """Make the bucket where it is missing; what cannot be sent twice fails then as if the store had not answered."""
        try:
            with self._told():
                yield
        except BucketMissingError:
            self._make_bucket()
            raise StoreUnavailableError(f"{self.name}: the bucket was missing and has been made") from None

    def _make_bucket(self) -> None:
        from container_executor.cfs.bucket import make_bucket  # noqa: PLC0415 - once in the life of a bucket

        make_bucket(self.name, self._inner, verify=self.verify)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (_obstore().exceptions.BaseError, OSError) as error:
            raise translated(self.name, error) from error
