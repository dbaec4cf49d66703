"""Adds the record of a file whose content has been stored, and makes sure that the server has exactly that."""

from collections.abc import Awaitable, Callable
from typing import Any

import anyio

from container_executor.cfs.errors import UnrecordedError
from container_executor.client import (
    BadCallError,
    Client,
    FileRecord,
    NoAnswerError,
    NotFoundError,
    ProtocolError,
    ServerFaultError,
    UnsendableError,
)

Again = Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]]
"""Makes a call, again and again for a while where nobody answers."""

_LOOK = 30.0
"""Seconds for which we look whether a record arrived, even if we are cancelled: otherwise nobody would know."""


async def add_record(client: Client, record: FileRecord, again: Again) -> None:
    """Add a record, once, whichever answers are lost.

    Raises:
        UnrecordedError: The server took no record of it, or keeps something else.
        NoAnswerError: The server does not answer.
        DeniedError: We may not add files.
    """
    where = f"{record.label}/{record.name}"
    try:
        kept: FileRecord = await again(lambda: _add(client, record, again))
    except (BadCallError, ServerFaultError, ProtocolError, UnsendableError) as error:
        raise UnrecordedError(f"{where}: the server took no record of it: {error}") from error
    if _facts(kept) != _facts(record):
        raise UnrecordedError(f"{where}: the server keeps something else than what it was sent")


def _facts(record: FileRecord) -> tuple[object, ...]:
    return record.label, record.name, record.size, record.checksum, record.object


async def _add(client: Client, record: FileRecord, again: Again) -> FileRecord:
    """Add a record; where the answer was lost, look whether it arrived."""
    try:
        return await client.add_file(record)
    except NoAnswerError:
        with anyio.CancelScope(shield=True), anyio.move_on_after(_LOOK):
            if (found := await _recorded(client, record, again)) is not None:
                return found
        raise


async def _recorded(client: Client, record: FileRecord, again: Again) -> FileRecord | None:
    try:
        revisions = await again(lambda: client.revisions(record.label, record.name))
    except NotFoundError:
        return None
    return next((found for found in revisions if found.object == record.object), None)
