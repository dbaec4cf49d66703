"""The daemon as the command line starts it, except that it can kill itself with SIGKILL at a chosen journal record.

``CE_KILL=before:7`` kills it before the seventh record is written, ``after:7`` after it; the number counts from the first record
of this run.
"""

import itertools
import os
import signal

from container_executor.execute.journal import Journal, Record

_written = itertools.count(1)
_write = Journal.write
_moment, _, _number = os.environ.get("CE_KILL", "").partition(":")


def _write_or_die(journal: Journal, record: Record) -> None:
    number = next(_written)
    if (_moment, str(number)) == ("before", _number):
        os.kill(os.getpid(), signal.SIGKILL)
    _write(journal, record)
    if (_moment, str(number)) == ("after", _number):
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    setattr(Journal, "write", _write_or_die)  # noqa: B010 - the one fault that no outside can provoke
    from container_executor.cli import main

    main()
