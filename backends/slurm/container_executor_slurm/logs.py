"""Reads the output of ranks from their files: a cursor is one byte offset a rank, so nothing can be lost or doubled."""

from container_executor.models import LogChunk, LogLine
from container_executor_slurm.jobdir import JobDir


def read(folder: JobDir, ranks: int, cursor: str, limit: int, *, ended: bool) -> LogChunk:
    """Return output after *cursor*, about *limit* bytes of all ranks together.

    Args:
        folder: The job's folder.
        ranks: How many there are.
        cursor: Offsets as an earlier chunk gave them, "" for the beginning.
        limit: Bytes in all; each rank gets an equal part.
        ended: No rank writes any more: this was known before the call.
    """
    offsets = [int(offset) for offset in cursor.split(",")] if cursor else [0] * ranks
    share = max(1, limit // ranks)
    lines: list[LogLine] = []
    at_end = True
    for rank in range(ranks):
        data = folder.log(rank, offsets[rank], share)
        at_end = at_end and len(data) < share
        taken = _whole_lines(data) if len(data) == share else data
        offsets[rank] += len(taken)
        lines += split(rank, taken)
    return LogChunk(tuple(lines), ",".join(map(str, offsets)), end=ended and at_end)


def split(rank: int, data: bytes) -> list[LogLine]:
    """Return *data* as lines. Both streams of a program share one file, so that their order stays: none is named."""
    *whole, rest = data.split(b"\n")
    lines = [LogLine(rank, None, line) for line in whole]
    return [*lines, LogLine(rank, None, rest, complete=False)] if rest else lines


def _whole_lines(data: bytes) -> bytes:
    """Return *data* up to its last newline, or all of it where it has none."""
    return data[: data.rfind(b"\n") + 1] or data
