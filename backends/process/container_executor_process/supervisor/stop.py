"""Why and when a job is ended before its programs end by themselves. Decisions only; nothing here acts."""

import os
from typing import NamedTuple

from . import layout
from .layout import Order

SOON = 0.05
"""Seconds between two attempts at what should succeed at once: ending leftovers, writing a record."""


class Stop(NamedTuple):
    """A stop that was ordered.

    Attributes:
        cause: As in an exit record.
        linger: When what the ended program of a rank left behind is killed.
        kill: When everything is killed.
    """

    cause: str
    linger: float
    kill: float


class Clock(NamedTuple):
    """The times at which a job is ended.

    Attributes:
        order: What was asked for.
        began: When its programs were let go.
    """

    order: Order
    began: float

    @property
    def walltime_end(self) -> float:
        """When the programs have run as long as they may."""
        return self.began + self.order.walltime

    def stop(self, cause: str, moment: float, kill: float | None = None) -> Stop:
        """Return the stop that begins at *moment*; without *kill*, everything is killed after the job's grace."""
        linger = moment + self.order.grace
        return Stop(cause, linger, linger if kill is None else kill)

    def requested(self, moment: float, *, told_to_end: bool) -> Stop | None:
        """Return the stop that somebody asked for: with a file in the working directory, or by ending this machine."""
        if os.path.exists(layout.KILL):
            return self.stop(layout.CANCELLED, moment, kill=moment)
        if os.path.exists(layout.CANCEL):
            return self.stop(layout.CANCELLED, moment, kill=self.walltime_end + self.order.grace)
        return self.stop("node_lost", moment) if told_to_end else None

    def due(self, moment: float) -> Stop | None:
        """Return the stop whose time has come."""
        if moment >= self.walltime_end:
            return self.stop("walltime", moment)
        if moment >= self.order.term_at:
            return self.stop("lease_expired", moment, kill=self.order.ends_at)
        return None

    def must_kill(self, stop: Stop, moment: float) -> bool:
        """Return whether the programs had all the time that a stop gives them."""
        return moment >= min(stop.kill, self.order.ends_at) or os.path.exists(layout.KILL)

    def next(self, stop: Stop | None, moment: float, *, leftovers: bool) -> float:
        """Return when something must be done next; *leftovers* may be left of a rank whose program has ended."""
        if stop is None:
            return min(self.walltime_end, self.order.term_at)
        linger = stop.linger if leftovers else layout.NEVER
        return min(stop.kill, self.order.ends_at, max(linger, moment + SOON))
