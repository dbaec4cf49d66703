"""The program that forks supervisors, so that all of them share the memory of one Python.

Standard input is a socket of the daemon. Each message is the path of a job's directory, with a descriptor on which the new
supervisor answers: ``started PID``, ``there`` where the job was started before, or ``error NUMBER WORDS``. When the daemon
ends, so does this program; the supervisors go on.
"""

import contextlib
import gc
import os
import signal
import socket
from typing import NoReturn

from . import layout, limits
from .layout import Order
from .limits import Cage
from .records import set_aside
from .supervise import supervise

_PATH_BYTES = 65_536


def main() -> None:
    """Fork a supervisor for each message until the daemon closes the socket."""
    if os.fork() != 0:
        os._exit(0)
    os.umask(0o077)
    gc.collect()
    gc.disable()
    gc.freeze()  # a collection would touch, and so copy, pages that all supervisors share
    requests = socket.socket(fileno=0)
    while True:
        path, descriptors, _, _ = socket.recv_fds(requests, _PATH_BYTES, 1)
        if not path:
            return
        _fork_supervisor(path.decode(errors="surrogateescape"), descriptors[0])
        os.close(descriptors[0])


def _fork_supervisor(path: str, answer: int) -> None:
    try:
        between = os.fork()
    except OSError as error:
        _say(answer, f"error {error.errno} a supervisor cannot be started: {error.strerror}")
        return
    if between != 0:
        os.waitpid(between, 0)
        return
    with contextlib.suppress(OSError):  # no second fork: the answer ends without a word
        os.setsid()
        if os.fork() == 0:
            _supervise(path, answer)
    os._exit(0)


def _supervise(path: str, answer: int) -> NoReturn:
    try:
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        os.chdir(path)
        os.dup2(os.open(os.devnull, os.O_RDWR), 0)
        order = layout.read_order(".")
        cages = _claim(order, answer)
        os.close(answer)
        if cages is not None:
            supervise(order, cages)
    except BaseException as error:  # noqa: BLE001 - nobody is above this program to see it
        _leave_word(error)
    finally:
        os._exit(0)


def _claim(order: Order, answer: int) -> list[Cage] | None:
    """Take the job, once for all time, and make its cages; say on *answer* what came of it. None: it is not ours."""
    if not layout.take_lock(layout.LOCK) or os.path.exists(layout.SUPERVISOR):
        _say(answer, "there")
        return None
    cages = [_cage(order, rank) for rank in range(order.ranks)]
    groups = [path for cage in cages for path in cage.paths]
    try:
        set_aside(order.ranks)
        layout.write_once(layout.SUPERVISOR, {"pid": os.getpid(), "groups": groups})
    except OSError as error:
        limits.clear(groups)
        _say(answer, f"error {error.errno} the job's files cannot be written: {error.strerror}")
        return None
    _say(answer, f"started {os.getpid()}")
    return cages


def _cage(order: Order, rank: int) -> Cage:
    return Cage.make(f"{order.marker.replace('/', '-')}.{rank}", memory=order.memory, cpu=order.cpu)


def _say(answer: int, words: str) -> None:
    with contextlib.suppress(BrokenPipeError):
        os.write(answer, words.encode())


def _leave_word(error: BaseException) -> None:
    with contextlib.suppress(OSError), open(layout.TROUBLE, "w", encoding="utf-8") as file:
        file.write(f"{type(error).__name__}: {error}")
