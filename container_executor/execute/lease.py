"""How long a process is ours, and when its job must stop so that two attempts are never live at once. Pure arithmetic.

The server takes a process back ``maxexectime`` seconds after it assigned it, and looks once a second. An engine that ends the
job at :attr:`Lease.end`, even if nobody is left to ask it to, therefore guarantees that the next attempt starts after this one
has ended.
"""

from datetime import datetime, timedelta

import attrs

MARGIN = 5.0
"""Seconds between the engine's own end of a job and the server's deadline, at most a fifth of maxexectime."""
GRACE = 10.0
"""Seconds between TERM and KILL, at most a fifth of maxexectime."""
RESERVE = 60.0
"""Seconds kept for bringing results out, at most a fifth of maxexectime."""
FIFTH = 0.2


@attrs.frozen
class Lease:
    """A process that is ours for a while. Times are seconds of the boot clock.

    Attributes:
        start: When the server assigned the process.
        length: ``maxexectime`` in seconds; the site's maximum where the spec sets none.
        staged: Results must be brought out before the end.
    """

    start: float
    length: float
    staged: bool = False

    @property
    def deadline(self) -> float:
        """When the server takes the process back."""
        return self.start + self.length

    @property
    def end(self) -> float:
        """When the engine itself must have ended the job."""
        return self.deadline - min(MARGIN, FIFTH * self.length)

    @property
    def grace(self) -> float:
        """Seconds between TERM and KILL."""
        return min(GRACE, FIFTH * self.length)

    @property
    def reserve(self) -> float:
        """Seconds for bringing results out."""
        return min(RESERVE, FIFTH * self.length) if self.staged else 0.0

    @property
    def engine_stop(self) -> float:
        """When the engine itself sends TERM."""
        return self.end - self.grace

    @property
    def stop_at(self) -> float:
        """When we stop the job."""
        return self.engine_stop - self.reserve

    def lifetime(self, now: float) -> timedelta:
        """Return the time after which the engine itself must have ended a job that is submitted *now*."""
        return timedelta(seconds=max(0.0, self.end - now))


def started_at(*, started: datetime | None, server_now: datetime, now: float, asked: float) -> float:
    """Return when, on the boot clock, the server assigned a process.

    The server's own clock decides, but it cannot be before we asked nor after the answer came: its ``Date`` has whole seconds only.

    Args:
        started: The server's start time of the process.
        server_now: The server's clock as of *now*.
        now: The boot clock now.
        asked: The boot clock when the call that was given the process was sent.
    """
    if started is None:
        return asked
    age = (server_now - started).total_seconds()
    return min(max(now - age, asked), now)


def attempts_left(*, attempt: int, maxretries: int) -> bool:
    """Return whether the server requeues the process at its deadline, instead of failing it."""
    return maxretries < 0 or attempt < maxretries
