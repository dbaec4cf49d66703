"""The records of a job's end, which a full disk cannot keep from being written."""

import errno
import os
from collections.abc import Callable

from . import layout
from .layout import End

_RECORD = 4096
"""Bytes set aside for each exit record before the job starts, so that a full disk cannot lose one."""

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EIO)


def set_aside(ranks: int) -> None:
    """Reserve the space of the exit records.

    Raises:
        OSError: The disk is full.
    """
    for number in range(ranks):
        record = os.open(f"{layout.end_name(number)}.new", os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.posix_fallocate(record, 0, _RECORD)
        finally:
            os.close(record)


def _overwrite(path: str, text: bytes) -> None:
    record = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        os.pwrite(record, text, 0)
        os.ftruncate(record, len(text))
    finally:
        os.close(record)


def write_end(number: int, end: End) -> None:
    """Write down how a rank ended, into the space that was set aside for it."""
    name = layout.end_name(number)
    _overwrite(f"{name}.new", layout.dump_end(end))
    os.rename(f"{name}.new", name)
    os.utime(".")  # the daemon watches the attributes of the job's directory


def written(write: Callable[[], None]) -> bool:
    """Write, or say that the disk is full; where somebody deleted the job's directory, nobody will read it."""
    try:
        write()
    except FileNotFoundError:
        return True
    except OSError as error:
        if error.errno not in _FULL:
            raise
        return False
    return True
