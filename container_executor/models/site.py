"""What else a backend reports: output, progress, room and health."""

import attrs


@attrs.frozen
class LogLine:
    """A line of output, or a piece of one.

    Attributes:
        rank: Whose it is.
        stream: ``out``, ``err``, or None where the engine does not tell them apart.
        data: The bytes without the newline.
        complete: A newline followed; False where the line goes on in the rank's next piece, or was the last without one.
    """

    rank: int
    stream: str | None
    data: bytes
    complete: bool = True


@attrs.frozen
class Gap:
    """Output that the engine itself lost before it could be read.

    Attributes:
        rank: Whose it was.
        before: Index into :attr:`LogChunk.lines` of the first line after the gap.
        missing: How many bytes, where the engine can tell.
        reason: Why, in a few words.
    """

    rank: int
    before: int
    missing: int | None = None
    reason: str = ""


@attrs.frozen
class LogChunk:
    """Output after a cursor.

    Attributes:
        lines: In order of arrival within each rank.
        cursor: Where the next call goes on; text that survives a restart of the daemon.
        end: Nothing more can come.
        gaps: Where the engine lost something.
    """

    lines: tuple[LogLine, ...] = ()
    cursor: str = ""
    end: bool = False
    gaps: tuple[Gap, ...] = ()


@attrs.frozen
class Progress:
    """A step of preparing an image: words for the log, and how far it is where that is known (bytes)."""

    text: str
    done: int = 0
    total: int = 0


@attrs.frozen
class Capacity:
    """What an engine has, or has free: millicores, bytes, whole GPUs. None where the engine sets no bound."""

    cpu: int | None = None
    memory: int | None = None
    gpus: int | None = None


@attrs.frozen
class Fault:
    """One thing wrong with an engine or a site.

    Attributes:
        what: What is wrong.
        fix: How to mend it.
        fatal: False where jobs run all the same, and something may be lost later.
    """

    what: str
    fix: str
    fatal: bool = True


@attrs.frozen
class Health:
    """How an engine is.

    Attributes:
        reachable: It answers.
        version: What it says it is.
        faults: What is wrong with it, each with its fix.
    """

    reachable: bool
    version: str = ""
    faults: tuple[Fault, ...] = ()
