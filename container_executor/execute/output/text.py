"""Output of a job as text for the server's log: whole characters, labelled ranks, no NULs, progress bars thinned, bounded.

Pure: what is kept between two chunks is in :class:`Pending`, which the journal holds too, so that a restart goes on in the
middle of a line or of a character.
"""

import codecs
from collections import deque
from collections.abc import Mapping

import attrs

from container_executor.models import Gap, LogChunk, LogLine

HOLD = 65_536
"""Bytes of an unfinished line that are kept back at most."""
PREFIX = "ColonyOS: "
"""How our own lines begin, as those of the former executors did."""


@attrs.frozen
class Pending:
    """Bytes of each rank that are not text yet: the start of a character, or of a line that must not be mixed with others."""

    tails: Mapping[int, bytes] = attrs.field(factory=dict)

    def to_json(self) -> dict[str, str]:
        """Return it for the journal."""
        return {str(rank): tail.hex() for rank, tail in self.tails.items() if tail}

    @classmethod
    def from_json(cls, fields: Mapping[str, str]) -> "Pending":
        """Read back what :meth:`to_json` wrote."""
        return cls({int(rank): bytes.fromhex(tail) for rank, tail in fields.items()})


def render(chunk: LogChunk, pending: Pending, *, ranks: int, progress: bool = False) -> tuple[str, Pending]:
    """Return the text of a chunk, and what of it must wait for the next one.

    A job of one rank is passed on as it comes, so that a prompt without a newline is seen. Lines of several ranks begin with
    ``[rank] `` and are passed on whole. Of text that carriage returns overwrite, only the last state of a line is kept;
    with *progress*, the last whole state of an unfinished one is shown as a line of its own.
    """
    tails = dict(pending.tails)
    parts: list[str] = []
    gaps = {gap.before: gap for gap in chunk.gaps}
    for index, line in enumerate(chunk.lines):
        if gaps:
            parts += _gap(gaps.get(index), tails)
        parts.append(_line(line, tails, label=ranks > 1))
    parts += _gap(gaps.get(len(chunk.lines)), tails)
    if progress and not chunk.end:
        parts += [_state(rank, tails, label=ranks > 1) for rank in sorted(tails)]
    if chunk.end:
        parts += [_flush(rank, tails, label=ranks > 1) for rank in sorted(tails)]
    return "".join(parts), Pending({rank: tail for rank, tail in tails.items() if tail})


def _line(line: LogLine, tails: dict[int, bytes], *, label: bool) -> str:
    tail = tails.pop(line.rank, b"")
    data = tail + line.data if tail else line.data
    if line.complete:
        return _labelled(line.rank, _decode(data), label=label) + "\n"
    if b"\r" in data or label:
        return _hold(line.rank, data, tails, label=label)
    text, rest = _whole_characters(data)
    tails[line.rank] = rest
    return _clean(text)


def _hold(rank: int, data: bytes, tails: dict[int, bytes], *, label: bool) -> str:
    data = _states(data)
    if len(data) <= HOLD:
        tails[rank] = data
        return ""
    text, tails[rank] = _whole_characters(data)
    return _labelled(rank, _overwritten(text), label=label) + "\n"


def _states(data: bytes) -> bytes:
    """Return, of a line that is being overwritten, its last whole state and what may be the beginning of the next."""
    whole, found, begun = data.rpartition(b"\r")
    return whole.rstrip(b"\r").rpartition(b"\r")[2] + found + begun


def _state(rank: int, tails: dict[int, bytes], *, label: bool) -> str:
    state, overwritten, begun = tails[rank].rpartition(b"\r")
    if not state:
        return ""
    tails[rank] = overwritten + begun  # what follows overwrites the line, too
    return _labelled(rank, _decode(state), label=label) + "\n"


def _flush(rank: int, tails: dict[int, bytes], *, label: bool) -> str:
    data, tails[rank] = tails[rank], b""
    return _labelled(rank, _decode(data), label=label) + "\n" if data.strip(b"\r") else ""


def _gap(gap: Gap | None, tails: dict[int, bytes]) -> list[str]:
    if gap is None:
        return []
    tails.pop(gap.rank, None)
    what = f"output of rank {gap.rank} may be missing here"
    if gap.missing is not None:
        what = f"{gap.missing} bytes of the output of rank {gap.rank} are missing"
    return [f"\n{PREFIX}{what}{': ' if gap.reason else ''}{gap.reason}\n"]


def _labelled(rank: int, text: str, *, label: bool) -> str:
    return f"[{rank}] {text}" if label else text


def _decode(data: bytes) -> str:
    text = data.decode("utf-8", "backslashreplace")
    return _clean(_overwritten(text)) if "\r" in text or "\0" in text else text


def _overwritten(text: str) -> str:
    """Return what a terminal shows of a line with carriage returns: the text after the last that is not at its end."""
    return text.rstrip("\r").rpartition("\r")[2]


def _clean(text: str) -> str:
    return text.replace("\0", "")


def _whole_characters(data: bytes) -> tuple[str, bytes]:
    decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
    text = decoder.decode(data)
    return text, decoder.getstate()[0]


class Tail:
    """The last part of an output that is too long to be kept whole, in bounded memory."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._texts: deque[str] = deque()
        self._size = 0
        self.dropped = 0

    def add(self, text: str) -> None:
        """Keep *text*, dropping the oldest where the bound is passed."""
        self._texts.append(text)
        self._size += len(text)
        while self._size - len(self._texts[0]) >= self._limit:
            oldest = self._texts.popleft()
            self._size -= len(oldest)
            self.dropped += len(oldest)

    def text(self) -> str:
        """Return what was kept, cut to the bound, with a notice of what was not."""
        kept = "".join(self._texts)
        dropped = self.dropped + max(0, len(kept) - self._limit)
        notice = (
            f"\n{PREFIX}{dropped} characters of output left out here: the site's limit is reached\n" if dropped else ""
        )
        return notice + kept[-self._limit :]
