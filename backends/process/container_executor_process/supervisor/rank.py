"""The start of one rank: from a fork of the supervisor to the user's program."""

import errno
import os
import resource
import signal
from typing import NamedTuple, NoReturn

from . import layout, linux, mounts
from .layout import Order
from .limits import Cage
from .output import Output

_GO = b"g"
_READY = b"ready"

NOT_FOUND = 127
NOT_EXECUTABLE = 126


class Start(NamedTuple):
    """A rank that was forked and waits for its word.

    Attributes:
        pid: Its program, and the session of that.
        word: Descriptor on which it says that it is ready, or why not.
    """

    pid: int
    word: int


class Gate:
    """What holds the ranks of a job back until all of them are ready."""

    def __init__(self) -> None:
        self.supervisor = os.getpid()
        self._inside, self._outside = os.pipe()

    def open(self, ranks: int) -> None:
        """Let the ranks run."""
        for _ in range(ranks):
            os.write(self._outside, _GO)
        self.close()

    def close(self) -> None:
        """Let go of the gate; ranks that still wait at it end."""
        os.close(self._inside)
        os.close(self._outside)

    def wait(self) -> None:
        """Wait, in a rank, until the gate opens; end this program where it never will."""
        os.close(self._outside)
        if os.read(self._inside, 1) != _GO:
            os._exit(NOT_EXECUTABLE)


def fork(order: Order, rank: int, gate: Gate, cage: Cage, output: Output) -> Start:
    """Fork a rank, which gets itself ready inside *cage* and then waits at the gate.

    Raises:
        OSError: No more programs or descriptors may be had.
    """
    hears, speaks = os.pipe()
    pid = os.fork()
    if pid == 0:
        _become(order, rank, gate=gate, cage=cage, output=output, speaks=speaks)
    os.close(speaks)
    return Start(pid, hears)


def wait_ready(start: Start) -> str:
    """Wait until a rank is ready and return "", or why it never will be."""
    with os.fdopen(start.word, "rb") as pipe:
        word = pipe.read()
    if word == _READY:
        return ""
    return word.decode(errors="replace") or "a rank ended before its program was started"


def _become(order: Order, rank: int, *, gate: Gate, cage: Cage, output: Output, speaks: int) -> NoReturn:
    try:
        cage.enter()
        _take_input_from_nowhere()
        output.become_standard()
        _prepare(order, rank, gate.supervisor)
        os.write(speaks, _READY)
    except OSError as error:
        os.write(speaks, (error.strerror or str(error)).encode())
        os._exit(NOT_EXECUTABLE)
    os.close(speaks)
    gate.wait()
    _execute(list(order.argv), order.environments[rank])


def _prepare(order: Order, rank: int, supervisor: int) -> None:
    os.setsid()
    os.umask(0o077)
    _complete(order.environments[rank], rank, order.marker)
    home = os.path.abspath(layout.WORK)
    if order.mounts:
        os.makedirs(layout.ROOT, exist_ok=True)
        mounts.show(order.mounts, os.path.abspath(layout.ROOT))
    os.chdir(home)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _end_with(supervisor)
    _reset_signals()


def _complete(environment: dict[str, str], rank: int, marker: str) -> None:
    """Add the variables that name places in the job's directory, which is the working directory here."""
    for name, file in (("HOME", layout.WORK), ("TMPDIR", layout.TMP)):
        environment.setdefault(name, os.path.abspath(file))
    environment["COLONIES_OUTPUT"] = os.path.abspath(layout.output_name(rank))
    if os.path.exists(layout.INPUT):
        environment["COLONIES_INPUT"] = os.path.abspath(layout.INPUT)
    environment[layout.MARKER] = marker


def _take_input_from_nowhere() -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)


def _end_with(supervisor: int) -> None:
    linux.signal_on_parent_death(signal.SIGKILL)
    if os.getppid() != supervisor:
        os._exit(NOT_EXECUTABLE)


def _reset_signals() -> None:
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def _execute(argv: list[str], environment: dict[str, str]) -> NoReturn:
    try:
        try:
            os.execvpe(argv[0], argv, environment)
        except OSError as error:
            if error.errno != errno.ENOEXEC:
                raise
            # a script without a first line that names its interpreter runs under sh, as every shell does it
            os.execve("/bin/sh", ["sh", *argv], environment)
    except OSError as error:
        missing = error.errno in (errno.ENOENT, errno.ENOTDIR)
        os.write(2, f"container-executor: {argv[0]}: {_words(error)}\n".encode(errors="surrogateescape"))
        os._exit(NOT_FOUND if missing else NOT_EXECUTABLE)


def _words(error: OSError) -> str:
    return "not found" if error.errno == errno.ENOENT else os.strerror(error.errno or 0)
