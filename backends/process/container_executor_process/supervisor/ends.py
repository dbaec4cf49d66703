"""How the programs of ranks ended, and what they left behind."""

import os
import time
from collections.abc import Collection
from resource import struct_rusage

from . import layout, tree
from .layout import End

DISK_FULL = "the disk that holds the job's directory is full"

_REASONS = {
    layout.CANCELLED: "cancelled on request",
    "walltime": "ran longer than its walltime",
    "lease_expired": "its lifetime was over",
    "node_lost": "this machine told the job to end",
    "disk_full": DISK_FULL,
    "oom": "a program used more memory than it may, and the kernel killed it",
}


def never_started(cause: str, reason: str) -> End:
    """Return the end of a rank of which no program ran."""
    return End(None, None, cause, reason, None, time.time())


def of_program(started: float, code: int, usage: struct_rusage, cause: str) -> End:
    """Return the end of a rank whose program has ended just now.

    Args:
        started: When it was started, in seconds since the epoch.
        code: Its exit code, or -n for signal n.
        usage: What it used.
        cause: As in an exit record.
    """
    return End(
        exit_code=code if code >= 0 else 128 - code,
        signal=-code if code < 0 else None,
        cause=cause,
        reason=_REASONS.get(cause, ""),
        started=started,
        ended=time.time(),
        cpu_seconds=round(usage.ru_utime + usage.ru_stime, 3),
        peak_memory=usage.ru_maxrss * 1024,
    )


def on_full_disk(end: End) -> End:
    """Return the end of a rank whose output could not be kept whole."""
    return end if end.cause else end._replace(cause="disk_full", reason=DISK_FULL)


def left_by(session: int, number: int, live: Collection[int]) -> list[int]:
    """Return the topmost programs that a rank left behind: all that is left where no other rank runs.

    Args:
        session: The session of the rank's own program.
        number: The rank.
        live: The programs of ranks that still run.
    """
    orphans = [pid for pid in tree.children(os.getpid()) if pid not in live]
    return orphans if not live else [pid for pid in orphans if _belongs(pid, session, number)]


def _belongs(pid: int, session: int, number: int) -> bool:
    if tree.session(pid) == session:
        return True
    return tree.variables(pid).get(b"RANK") == str(number).encode()
