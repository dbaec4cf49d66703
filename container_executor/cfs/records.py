"""Adds the record of a file whose content has been stored, and makes sure that the server has exactly that. Blocking; threads call it."""

import time

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

_LOOK = 30.0
"""Seconds for which we look whether a record arrived: otherwise nobody would know."""
_PAUSE = 0.5


def add_record(client: Client, record: FileRecord) -> None:
    """Add a record, once, whichever answers are lost.

    Raises:
        UnrecordedError: The server took no record of it, or keeps something else.
        NoAnswerError: The server does not answer.
        DeniedError: We may not add files.
    """
    where = f"{record.label}/{record.name}"
    try:
        kept = _add(client, record)
    except (BadCallError, ServerFaultError, ProtocolError, UnsendableError) as error:
        raise UnrecordedError(f"{where}: the server took no record of it: {error}") from error
    if _facts(kept) != _facts(record):
        raise UnrecordedError(f"{where}: the server keeps something else than what it was sent")


def _facts(record: FileRecord) -> tuple[object, ...]:
    return record.label, record.name, record.size, record.checksum, record.object


def _add(client: Client, record: FileRecord) -> FileRecord:
    """Add a record; where the answer was lost, look whether it arrived."""
    try:
        return client.from_thread(Client.add_file, record)
    except NoAnswerError:
        if (found := _recorded(client, record)) is not None:
            return found
        raise


def _recorded(client: Client, record: FileRecord) -> FileRecord | None:
    """Return the record as the server has it; None where it has none, or does not answer for long."""
    end = time.monotonic() + _LOOK
    while time.monotonic() < end:
        try:
            revisions = client.from_thread(Client.revisions, record.label, record.name)
        except NotFoundError:
            return None
        except NoAnswerError:
            time.sleep(_PAUSE)
        else:
            return next((found for found in revisions if found.object == record.object), None)
    return None
