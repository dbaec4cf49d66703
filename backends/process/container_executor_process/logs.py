"""The output of a job: one file for each rank, read by byte offset.

Both streams of a rank go to one file that is open for appending, so that their order is exact; which stream a line came
from is not known then.
"""

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from container_executor.errors import RejectedError
from container_executor.models import LogChunk, LogLine
from container_executor_process.supervisor.layout import log_name


def read_chunk(directory: Path, offsets: list[int], *, limit: int, over: bool) -> LogChunk:
    """Return what the ranks wrote after *offsets*, at most *limit* bytes, a fair share of each rank.

    Args:
        directory: The job's.
        offsets: Where each rank's part begins, in order of rank.
        limit: Bytes.
        over: Nothing of the job can write any more.
    """
    waiting = {rank: size for rank, size in enumerate(_sizes(directory, offsets)) if size > 0}
    lines: list[LogLine] = []
    after = list(offsets)
    for served, rank in enumerate(sorted(waiting, key=waiting.__getitem__)):
        share = max(1, limit // (len(waiting) - served)) if limit > 0 else 0
        data = _read(directory / log_name(rank), offsets[rank], min(share, waiting[rank]))
        limit -= len(data)
        after[rank] += len(data)
        lines += _lines(rank, data)
    end = over and all(after[rank] == offsets[rank] + size for rank, size in waiting.items())
    return LogChunk(tuple(lines), cursor=dump_cursor(after), end=end)


def _sizes(directory: Path, offsets: list[int]) -> Iterator[int]:
    """Yield how many bytes of each rank are unread."""
    place = str(directory)
    for rank, offset in enumerate(offsets):
        try:
            found = os.lstat(f"{place}/{log_name(rank)}")
        except FileNotFoundError:
            yield 0
        else:
            yield found.st_size - offset if stat.S_ISREG(found.st_mode) else 0


def _read(path: Path, offset: int, size: int) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return os.pread(descriptor, size, offset)
    finally:
        os.close(descriptor)


def _lines(rank: int, data: bytes) -> Iterator[LogLine]:
    *whole, rest = data.split(b"\n")
    for line in whole:
        yield LogLine(rank, None, line)
    if rest:
        yield LogLine(rank, None, rest, complete=False)


def parse_cursor(cursor: str, ranks: int) -> list[int]:
    """Read the offset of each rank; the empty cursor is the beginning.

    Raises:
        RejectedError: It is no cursor of a job with so many ranks.
    """
    if not cursor:
        return [0] * ranks
    try:
        offsets = json.loads(cursor)
    except ValueError:
        offsets = None
    if not isinstance(offsets, list) or len(offsets) != ranks or not all(type(offset) is int for offset in offsets):
        raise RejectedError(f"{cursor[:80]!r} is no cursor of {ranks} ranks; begin anew with an empty one")
    return offsets


def dump_cursor(offsets: list[int]) -> str:
    """Write what :func:`parse_cursor` reads."""
    return json.dumps(offsets, separators=(",", ":"))
