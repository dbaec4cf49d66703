"""The life of one job, as its supervisor sees it."""

import os
import signal
from collections.abc import Sequence
from typing import NamedTuple

from . import ends, linux, records, tree
from .bell import Bell
from .layout import End, Order, now
from .limits import Cage
from .records import written
from .start import Start, start
from .stop import SOON, Clock, Stop

_WATCHED = (signal.SIGCHLD, signal.SIGUSR1, signal.SIGTERM)
_IGNORED = (signal.SIGHUP, signal.SIGINT, signal.SIGPIPE)

_LOOK_AGAIN = 30.0
"""Seconds after which the clock is read in any case: the wait does not count the time that a laptop sleeps."""


class Ended(NamedTuple):
    """A rank's program that ended, while something of the rank may be left."""

    pid: int
    end: End


def supervise(order: Order, cages: Sequence[Cage]) -> None:
    """Run the job whose directory is the working directory: start all ranks, see them to their ends, write down how each ended."""
    bell = Bell(_WATCHED)
    linux.adopt_orphans()
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    Supervisor(order, cages, bell, start(order, cages, bell, _WATCHED)).run()


class Supervisor:
    """Watches a job that was started."""

    def __init__(self, order: Order, cages: Sequence[Cage], bell: Bell, begun: Start) -> None:
        self._clock = Clock(order, begun.began)
        self._cages = cages
        self._bell = bell
        self._begun = begun
        self._live = dict(begun.live)
        self._outputs = dict(begun.outputs)
        self._ended: dict[int, Ended] = {}
        self._stop: Stop | None = None
        self._killed = False

    def run(self) -> None:
        """See all ranks to their ends, and write down how each ended."""
        if self._begun.refusal:
            never = ends.never_started(*self._begun.refusal)
            self._ended = {number: Ended(0, never) for number in range(len(self._cages))}
        while self._live or self._ended:
            self._step(self._bell.wait(self._patience()))

    def _patience(self) -> float:
        if self._killed or (self._ended and self._stop is None):
            return SOON
        moment = now()
        due = self._clock.next(self._stop, moment, leftovers=bool(self._ended))
        return max(0.0, min(due - moment, _LOOK_AGAIN))

    def _step(self, received: bytes) -> None:
        self._keep_output()
        self._reap()
        self._begin_stop(self._clock.requested(now(), told_to_end=signal.SIGTERM in received))
        self._begin_stop(self._clock.due(now()))
        if self._stop and self._clock.must_kill(self._stop, now()):
            self._kill()
        for number in list(self._ended):
            self._finish(number)

    def _keep_output(self) -> None:
        for output in self._outputs.values():
            if self._bell.has(output) and not output.pump():
                self._bell.forget(output)
            if output.lost:
                self._begin_stop(self._clock.stop("disk_full", now()))

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
                code = os.waitstatus_to_exitcode(status)
                end = ends.of_program(self._begun.moment, code, usage, self._cause(number, code))
                self._ended[number] = Ended(pid, end)

    def _cause(self, number: int, code: int) -> str:
        if self._stop is not None:
            return self._stop.cause
        return "oom" if code != 0 and self._cages[number].out_of_memory() else ""

    def _begin_stop(self, stop: Stop | None) -> None:
        if stop is not None and self._stop is None and self._live:
            self._stop = stop
            tree.terminate(tree.descendants(tree.children(os.getpid())))

    def _kill(self) -> None:
        self._killed = True
        tree.kill(lambda: tree.children(os.getpid()))

    def _finish(self, number: int) -> None:
        """Kill what an ended rank has left behind when its time is over; write down its end once nothing is left."""
        ended = self._ended[number]
        left = ends.left_by(ended.pid, number, self._live)
        if left and (self._stop is None or now() >= self._stop.linger):
            tree.kill(lambda: ends.left_by(ended.pid, number, self._live))
        elif not left:
            self._close(number, ended)

    def _close(self, number: int, ended: Ended) -> None:
        """Write down how a rank ended, once its output is whole."""
        output = self._outputs.pop(number, None)
        if output is not None:
            self._bell.forget(output)
            output.finish()
            if output.lost:
                ended = self._ended[number] = ended._replace(end=ends.on_full_disk(ended.end))
        if written(lambda: records.write_end(number, ended.end)):
            self._cages[number].close()
            del self._ended[number]
