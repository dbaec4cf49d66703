"""How much output is read at once, and how long is waited between two readings. Pure arithmetic."""

import attrs

from container_executor.models import FailureClass

BATCH = 65_536
"""Bytes of output in one entry at most, while the server is quick."""
LARGEST = 2**19
"""The same for a server that is slow: entries grow, so that a job's output waits on the engine as short as can be."""
SLOW = 1.0
"""Seconds that a quick server never takes for an entry."""
BEAT = 0.5
"""Seconds between two entries of one process, unless the first is full or the job has ended."""
QUIET = 0.05
"""Seconds after which a job that was silent once is asked for output again; doubled with each silent answer."""
QUIET_LIMIT = 5.0
"""Seconds after which a silent job is asked again without a hint, where few jobs are live."""
QUIET_RATE = 16.0
"""Silent jobs that are asked in a second at most: with a thousand of them each is asked every minute."""
LAST_QUIET = 0.2
"""Seconds after which a job that has ended is asked for the rest at the latest."""
LAST_OUTPUT = 60.0
"""Seconds that the engine may give nothing, after the end of a job, before the rest of its output is given up.

An engine that is asked for what came after some time looks through all that it keeps, which can be gigabytes.
"""
GONE_OUTPUT = 1.0
"""The same for a job that the engine does not have any more."""
CUT = "the end of the output did not come in time; it may be incomplete"
"""What is said of an output whose rest was given up."""


@attrs.frozen
class Pace:
    """The pace at which the output of one job is brought.

    Attributes:
        batch: Bytes to read next.
        quiet: Seconds to wait for a hint before the next reading, where the last one brought nothing.
    """

    batch: int = BATCH
    quiet: float = QUIET

    def after_entry(self, took: float) -> "Pace":
        """Return the pace once the server has taken an entry in so many seconds."""
        return attrs.evolve(self, batch=min(LARGEST, 2 * self.batch) if took > SLOW else BATCH)

    def after_reading(self, *, silent: bool, live: int) -> "Pace":
        """Return the pace once the engine has answered, while so many jobs are live."""
        longest = max(QUIET_LIMIT, live / QUIET_RATE)
        return attrs.evolve(self, quiet=min(longest, 2 * self.quiet) if silent else QUIET)

    @property
    def last_quiet(self) -> float:
        """Seconds to wait before the next reading of a job that has ended."""
        return min(self.quiet, LAST_QUIET)


def last_silence(failure: FailureClass | None) -> float:
    """Return for how many seconds an engine may give nothing after the end of a job with this failure."""
    return GONE_OUTPUT if failure is FailureClass.VANISHED else LAST_OUTPUT


def next_entry(last: float, size: int) -> float:
    """Return when the next entry may be sent after one at *last* that was read as so many bytes."""
    return last + BEAT if size < BATCH // 2 else last
