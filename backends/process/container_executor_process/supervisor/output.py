"""The output of one rank, on its way from a pipe into a file.

The rank writes into a pipe, not into the file: to a program that opens ``/dev/stderr`` for writing, as shell scripts do, the
file would be emptied.
"""

import contextlib
import os

from .layout import log_name

_AT_ONCE = 1_048_576
_TURNS = 16
"""How often one rank is served before the others get their turn."""


class Output:
    """A pipe that all programs of a rank write to, and the file that keeps what they wrote."""

    def __init__(self, rank: int) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        self._log = os.open(log_name(rank), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self.lost = False

    def fileno(self) -> int:
        """Return the descriptor on which output arrives."""
        return self._reader

    def become_standard(self) -> None:
        """Make this, in a rank, what the program prints to."""
        os.dup2(self._writer, 1)
        os.dup2(self._writer, 2)

    def close_writer(self) -> None:
        """Leave writing to the rank alone."""
        os.close(self._writer)

    def pump(self) -> bool:
        """Keep what has arrived, or a large part of it; False once nothing more can come.

        :attr:`lost` is true from then on where the disk is full: what comes afterwards is thrown away, so that the
        programs can end.
        """
        with contextlib.suppress(BlockingIOError):
            return all(self._move() for _ in range(_TURNS))
        return True

    def finish(self) -> None:
        """Keep the rest of what the rank wrote. None of its programs may run any more."""
        with contextlib.suppress(BlockingIOError):
            while self._move():
                pass
        os.close(self._reader)
        os.close(self._log)

    def _move(self) -> int:
        if not self.lost:
            try:
                return os.splice(self._reader, self._log, _AT_ONCE)
            except BlockingIOError:
                raise
            except OSError:
                self.lost = True
        return len(os.read(self._reader, _AT_ONCE))
