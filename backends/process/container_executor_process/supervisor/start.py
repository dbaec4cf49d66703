"""The start of a job: all of its ranks, or none."""

import contextlib
import os
import signal
import time
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from . import layout, rank, tree
from .bell import Bell
from .ends import DISK_FULL
from .layout import Order, now
from .limits import Cage
from .output import Output
from .records import written


class Start(NamedTuple):
    """What came of starting a job.

    Attributes:
        live: The rank of each program that runs, by its pid; none where the job was not started.
        outputs: Where the output of each rank arrives.
        moment: When they were let go, in seconds since the epoch.
        began: The same as :func:`now` counts.
        refusal: Cause and reason why the job was not started, None where it was.
    """

    live: dict[int, int]
    outputs: dict[int, Output]
    moment: float
    began: float
    refusal: tuple[str, str] | None = None


def start(order: Order, cages: Sequence[Cage], bell: Bell, deaf_to: Collection[signal.Signals]) -> Start:
    """Start the job whose directory is the working directory, unless it is too late or was cancelled.

    Args:
        order: What to run.
        cages: One for each rank.
        bell: Rings from now on for the output of the ranks.
        deaf_to: Signals that must not arrive, here or in a rank, before it is ready for them.
    """
    refusal = _refusal(order)
    if refusal:
        return Start({}, {}, time.time(), now(), refusal)
    with _deaf(deaf_to):
        return _start(order, cages, bell)


def _refusal(order: Order) -> tuple[str, str] | None:
    if os.path.exists(layout.CANCEL) or os.path.exists(layout.KILL):
        return layout.CANCELLED, "cancelled before it started"
    if now() >= order.ends_at:
        return "lease_expired", "its lifetime was over before it started"
    return None


def _start(order: Order, cages: Sequence[Cage], bell: Bell) -> Start:
    gate = rank.Gate()
    outputs: dict[int, Output] = {}
    forks: list[rank.Start] = []
    try:
        for number, cage in enumerate(cages):
            output = outputs[number] = Output(number)
            try:
                forks.append(rank.fork(order, number, gate, cage, output))
            finally:
                output.close_writer()
                bell.listen(output)
        trouble = next(filter(None, map(rank.wait_ready, forks)), "")
    except OSError as error:
        trouble = f"a rank could not be started: {error.strerror}"
    moment, began = time.time(), now()
    if not trouble and written(lambda: layout.write_new(layout.RUNNING, {"started": moment})):
        gate.open(len(forks))
        return Start({fork.pid: number for number, fork in enumerate(forks)}, outputs, moment, began)
    _abandon(forks)
    return Start({}, outputs, moment, began, ("never_started", trouble) if trouble else ("disk_full", DISK_FULL))


def _abandon(forks: list[rank.Start]) -> None:
    for fork in forks:
        tree.send(fork.pid, signal.SIGKILL)
    for fork in forks:
        os.waitpid(fork.pid, 0)


@contextlib.contextmanager
def _deaf(signals: Collection[signal.Signals]) -> Iterator[None]:
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    yield
    signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
