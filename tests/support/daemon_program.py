"""The daemon as the command line starts it, except for faults that no outside can provoke.

``CE_KILL=before:7`` kills it with SIGKILL before the seventh journal record is written, ``after:7`` after it; the number counts
from the first record of this run. ``CE_CLOCK=FILE`` adds the seconds that the file holds to its time of day, as if somebody had
set the clock; the file is read anew each time.
"""

import itertools
import os
import signal
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path

from container_executor.execute import clock
from container_executor.execute.journal import Journal, Record

_written = itertools.count(1)
_write = Journal.write
_moment, _, _number = os.environ.get("CE_KILL", "").partition(":")
_shift = os.environ.get("CE_CLOCK", "")


def _write_or_die(journal: Journal, record: Record) -> None:
    number = next(_written)
    if (_moment, str(number)) == ("before", _number):
        os.kill(os.getpid(), signal.SIGKILL)
    _write(journal, record)
    if (_moment, str(number)) == ("after", _number):
        os.kill(os.getpid(), signal.SIGKILL)


class _SetClock(datetime):
    @classmethod
    def now(cls, tz: tzinfo | None = None) -> "_SetClock":
        moment = datetime.now(UTC) + timedelta(seconds=float(Path(_shift).read_text()))
        return cls.fromtimestamp(moment.timestamp(), tz)


if __name__ == "__main__":
    setattr(Journal, "write", _write_or_die)  # noqa: B010
    if _shift:
        setattr(clock, "datetime", _SetClock)  # noqa: B010
    from container_executor.cli import main

    main()
