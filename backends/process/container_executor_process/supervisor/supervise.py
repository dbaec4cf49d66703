"""The life of one job, as its supervisor sees it."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator, Sequence
from resource import struct_rusage
from typing import NamedTuple

from . import layout, linux, rank, records, tree
from .bell import Bell
from .layout import End, Order, now
from .limits import Cage
from .output import Output
from .records import written

_WATCHED = (signal.SIGCHLD, signal.SIGUSR1, signal.SIGTERM)
_IGNORED = (signal.SIGHUP, signal.SIGINT, signal.SIGPIPE)

_LOOK_AGAIN = 30.0
"""Seconds after which the clock is read in any case: the wait does not count the time that a laptop sleeps."""

_SOON = 0.05
"""Seconds between two attempts at what should succeed at once: ending leftovers, writing a record."""

_DISK_FULL = "the disk that holds the job's directory is full"

_REASONS = {
    layout.CANCELLED: "cancelled on request",
    "walltime": "ran longer than its walltime",
    "lease_expired": "its lifetime was over",
    "node_lost": "this machine told the job to end",
    "disk_full": _DISK_FULL,
    "oom": "a program used more memory than it may, and the kernel killed it",
}


class Stop(NamedTuple):
    """Why the job is being ended.

    Attributes:
        cause: As in an exit record.
        linger: When what the ended program of a rank left behind is killed.
        kill: When everything is killed.
    """

    cause: str
    linger: float
    kill: float


class Ended(NamedTuple):
    """A rank's program that ended, while something of the rank may be left."""

    pid: int
    end: End


class Supervisor:
    """Runs the job whose directory is the working directory."""

    def __init__(self, order: Order, cages: Sequence[Cage]) -> None:
        self._order = order
        self._cages = cages
        self._started: float | None = None
        self._began = 0.0
        self._live: dict[int, int] = {}
        self._ended: dict[int, Ended] = {}
        self._stop: Stop | None = None
        self._killed = False
        self._bell = Bell(_WATCHED)
        self._outputs: dict[int, Output] = {}

    def run(self) -> None:
        """Start all ranks, see them to their ends, and write down how each ended."""
        linux.adopt_orphans()
        for number in _IGNORED:
            signal.signal(number, signal.SIG_IGN)
        refusal = self._refusal()
        if refusal:
            self._never_started(*refusal)
        else:
            with _deaf():
                self._start()
        while self._live or self._ended:
            self._step(self._bell.wait(self._patience()))

    # --- start --------------------------------------------------------------------------------------------------------

    def _refusal(self) -> tuple[str, str] | None:
        if os.path.exists(layout.CANCEL) or os.path.exists(layout.KILL):
            return layout.CANCELLED, "cancelled before it started"
        if self._order.ends_at is not None and now() >= self._order.ends_at:
            return "lease_expired", "its lifetime was over before it started"
        return None

    def _start(self) -> None:
        gate = rank.Gate()
        starts: list[rank.Start] = []
        try:
            for number, cage in enumerate(self._cages):
                starts.append(self._fork(number, cage, gate))
            trouble = next(filter(None, map(rank.wait_ready, starts)), "")
        except OSError as error:
            trouble = f"a rank could not be started: {error.strerror}"
        if not trouble and self._announce():
            self._live = {start.pid: number for number, start in enumerate(starts)}
            gate.open(len(starts))
        else:
            self._abandon(starts, trouble)

    def _fork(self, number: int, cage: Cage, gate: rank.Gate) -> rank.Start:
        output = self._outputs[number] = Output(number)
        try:
            return rank.fork(self._order, number, gate, cage, output)
        finally:
            output.close_writer()
            self._bell.listen(output)

    def _announce(self) -> bool:
        self._started, self._began = time.time(), now()
        return written(lambda: layout.write_new(layout.RUNNING, {"started": self._started}))

    def _abandon(self, starts: list[rank.Start], trouble: str) -> None:
        for start in starts:
            tree.send(start.pid, signal.SIGKILL)
        for start in starts:
            os.waitpid(start.pid, 0)
        if trouble:
            self._never_started("never_started", trouble)
        else:
            self._never_started("disk_full", _DISK_FULL)

    def _never_started(self, cause: str, reason: str) -> None:
        for number in range(self._order.ranks):
            self._ended[number] = Ended(0, End(None, None, cause, reason, None, time.time()))

    # --- what happens meanwhile ---------------------------------------------------------------------------------------

    def _step(self, received: bytes) -> None:
        self._keep_output()
        self._reap()
        self._obey(told_to_end=signal.SIGTERM in received)
        self._enforce()
        for number in list(self._ended):
            self._finish(number)

    def _keep_output(self) -> None:
        for output in self._outputs.values():
            if self._bell.has(output) and not output.pump():
                self._bell.forget(output)
            if output.lost:
                self._begin_stop("disk_full", now() + self._order.grace)

    def _patience(self) -> float:
        if self._killed or (self._ended and self._stop is None):
            return _SOON
        return max(0.0, min(self._next_deadline() - now(), _LOOK_AGAIN))

    def _next_deadline(self) -> float:
        if self._stop is None:
            return min(self._walltime_end, self._order.term_at)
        linger = self._stop.linger if self._ended else layout.NEVER
        return min(self._stop.kill, self._order.ends_at, max(linger, now() + _SOON))

    @property
    def _walltime_end(self) -> float:
        return self._began + self._order.walltime

    def _reap(self) -> None:
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid in self._live:
                number = self._live.pop(pid)
                self._ended[number] = Ended(pid, self._end(number, os.waitstatus_to_exitcode(status), usage))

    def _end(self, number: int, code: int, usage: struct_rusage) -> End:
        cause = self._cause(number, code)
        return End(
            exit_code=code if code >= 0 else 128 - code,
            signal=-code if code < 0 else None,
            cause=cause,
            reason=_REASONS.get(cause, ""),
            started=self._started,
            ended=time.time(),
            cpu_seconds=round(usage.ru_utime + usage.ru_stime, 3),
            peak_memory=usage.ru_maxrss * 1024,
        )

    def _cause(self, number: int, code: int) -> str:
        if self._stop is not None:
            return self._stop.cause
        return "oom" if code != 0 and self._cages[number].out_of_memory() else ""

    def _obey(self, *, told_to_end: bool) -> None:
        if os.path.exists(layout.KILL):
            self._begin_stop(layout.CANCELLED, now())
        elif os.path.exists(layout.CANCEL):
            self._begin_stop(layout.CANCELLED, self._walltime_end + self._order.grace)
        elif told_to_end:
            self._begin_stop("node_lost", now() + self._order.grace)

    def _enforce(self) -> None:
        if now() >= self._walltime_end:
            self._begin_stop("walltime", now() + self._order.grace)
        if now() >= self._order.term_at:
            self._begin_stop("lease_expired", self._order.ends_at)
        if self._stop and (now() >= min(self._stop.kill, self._order.ends_at) or os.path.exists(layout.KILL)):
            self._kill()

    def _begin_stop(self, cause: str, kill: float) -> None:
        if self._stop is None and self._live:
            self._stop = Stop(cause, now() + self._order.grace, kill)
            tree.terminate(tree.descendants(tree.children(os.getpid())))

    def _kill(self) -> None:
        self._killed = True
        tree.kill(lambda: tree.children(os.getpid()))

    # --- ends ---------------------------------------------------------------------------------------------------------

    def _finish(self, number: int) -> None:
        ended = self._ended[number]
        left = self._left_by(ended.pid, number)
        if left and (self._stop is None or now() >= self._stop.linger):
            tree.kill(lambda: self._left_by(ended.pid, number))
        elif not left:
            self._close(number, ended.end)

    def _close(self, number: int, end: End) -> None:
        """Write down how a rank ended, once its output is whole."""
        output = self._outputs.pop(number, None)
        if output is not None:
            self._bell.forget(output)
            output.finish()
            if output.lost and not end.cause:
                end = end._replace(cause="disk_full", reason=_DISK_FULL)
                self._ended[number] = self._ended[number]._replace(end=end)
        if written(lambda: records.write_end(number, end)):
            self._cages[number].close()
            del self._ended[number]

    def _left_by(self, session: int, number: int) -> list[int]:
        """Return the topmost programs that a rank left behind: all that is left where no other rank runs."""
        orphans = [pid for pid in tree.children(os.getpid()) if pid not in self._live]
        if not self._live:
            return orphans
        return [pid for pid in orphans if _belongs(pid, session, number)]


def _belongs(pid: int, session: int, number: int) -> bool:
    if tree.session(pid) == session:
        return True
    return tree.variables(pid).get(b"RANK") == str(number).encode()


@contextlib.contextmanager
def _deaf() -> Iterator[None]:
    """Have no signal arrive, here or in a rank that is not yet ready for it."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
    yield
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _WATCHED)
