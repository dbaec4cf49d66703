"""What the script leaves in a job's folder, as values: the exit record of a rank, the record of the whole, srun's words. Pure."""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

import attrs


@attrs.frozen
class Exit:
    """The exit record of a rank.

    Attributes:
        code: 0 to 255, 128 + n for signal n.
        began: When its container was started.
        ended: When it had ended and all its output was written.
        node: Where it ran.
        cause: ``walltime`` or ``lifetime`` where the script's timer ended it, ``over`` where the timer found that the job has no
            right to run any more, ``cancelled`` before it ran, ``unstarted`` where Apptainer could not start it, otherwise "".
        signalled: Somebody sent it a TERM: we, or Slurm.
    """

    code: int
    began: datetime | None = None
    ended: datetime | None = None
    node: str = ""
    cause: str = ""
    signalled: bool = False


@attrs.frozen
class Done:
    """The record of the batch script: srun's exit code, why, and when.

    The reason is ``ended``; ``signalled`` where Slurm sent the whole job a TERM, and only Slurm knows why; ``cancelled`` or
    ``expired`` where nothing ran.
    """

    code: int
    reason: str
    ended: datetime | None = None


def parse_exit(text: str) -> Exit | None:
    """Parse the exit record of a rank; one that a full disk has cut is none."""
    fields = _fields(text)
    if not {"code", "began", "ended", "node", "cause", "term"} <= fields.keys() or not fields["code"].isdigit():
        return None
    return Exit(
        code=int(fields["code"]),
        began=_time(fields["began"]),
        ended=_time(fields["ended"]),
        node=fields["node"],
        cause=fields["cause"],
        signalled=bool(fields["term"]),
    )


def parse_done(text: str) -> Done | None:
    """Parse the record of the batch script; one that was cut is none."""
    fields = _fields(text)
    if not {"code", "reason", "ended"} <= fields.keys() or not fields["code"].isdigit():
        return None
    return Done(int(fields["code"]), fields["reason"], _time(fields["ended"]))


_SRUN = re.compile(r"^srun: error: \S+: tasks? ([\d,\-]+): (.+)$", re.MULTILINE)


def parse_srun(text: str) -> dict[int, str]:
    """Return srun's words by rank, from lines such as ``srun: error: n[1-2]: tasks 0-1,3: Killed``."""
    return {rank: words for ranks, words in _SRUN.findall(text) for rank in _expand(ranks)}


def _expand(ranks: str) -> Iterator[int]:
    for piece in ranks.split(","):
        first, _, last = piece.partition("-")
        yield from range(int(first), int(last or first) + 1)


def _fields(text: str) -> Mapping[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def _time(milliseconds: str) -> datetime | None:
    return datetime.fromtimestamp(int(milliseconds) / 1000, UTC) if milliseconds.isdigit() else None
