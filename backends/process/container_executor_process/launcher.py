"""The daemon's side of the program that forks supervisors."""

import functools
import os
import select
import socket
import subprocess
import sys
import weakref
from pathlib import Path
from threading import Lock

from container_executor.errors import RejectedError, UnavailableError
from container_executor.models import FailureClass
from container_executor_process.errors import FULL

_HERE = Path(__file__).parent

_ISOLATED = [sys.executable, "-I", "-S", "-X", "utf8", "-c"]
"""A Python that imports the standard library alone, and what the command adds to its path (last, to shadow nothing)."""

_LAUNCH = "import sys; sys.path.append(sys.argv[1]); from supervisor import launcher; launcher.main()"
_TRY_MOUNTS = "import sys; sys.path.append(sys.argv[1]); from supervisor import mounts; mounts.trial()"

_ANSWER_SECONDS = 30.0


class Launcher:
    """Starts supervisors through a program that is started when it is first needed, and again should it be gone."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._socket: socket.socket | None = None

    def start(self, directory: Path) -> None:
        """Have the job in *directory* started, unless it was started before.

        Raises:
            RejectedError: The disk is full.
            UnavailableError: No supervisor could be started; the job may be there or not.
        """
        hears, speaks = os.pipe()
        try:
            try:
                self._send(os.fsencode(directory), speaks)
            finally:
                os.close(speaks)
            _judge(_read_answer(hears))
        finally:
            os.close(hears)

    def close(self) -> None:
        """End the program. The supervisors go on."""
        with self._lock:
            if self._socket is not None:
                self._socket.close()
                self._socket = None

    def _send(self, path: bytes, descriptor: int) -> None:
        with self._lock:
            try:
                socket.send_fds(self._connected(), [path], [descriptor])
            except (BrokenPipeError, ConnectionResetError):  # somebody ended the program: another takes its place
                self._socket = None
                socket.send_fds(self._connected(), [path], [descriptor])

    def _connected(self) -> socket.socket:
        if self._socket is None:
            self._socket = _spawn()
            weakref.finalize(self, self._socket.close)
        return self._socket


def _spawn() -> socket.socket:
    """Start the program and return a socket to it; it ends when the socket does."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        subprocess.run(  # it returns at once: the program goes on in a child of its own
            [*_ISOLATED, _LAUNCH, str(_HERE)],
            stdin=theirs.fileno(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=_environment(),
            cwd="/",
            start_new_session=True,
            check=True,
            timeout=_ANSWER_SECONDS,
        )
    return ours


def _environment() -> dict[str, str]:
    """Return what a Python needs to start: nothing, unless the site's own lies in a place of its own."""
    return {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}


def _read_answer(hears: int) -> str:
    answer = b""
    poller = select.poll()
    poller.register(hears, select.POLLIN)
    while poller.poll(_ANSWER_SECONDS * 1000):
        part = os.read(hears, 4096)
        if not part:
            return answer.decode()
        answer += part
    raise UnavailableError(f"the supervisor of a job did not answer within {_ANSWER_SECONDS:.0f} s; try again")


def _judge(answer: str) -> None:
    word, _, rest = answer.partition(" ")
    if word in ("started", "there"):
        return
    number, _, words = rest.partition(" ")
    if word == "error" and int(number) in FULL:
        raise RejectedError(f"{words}; free some space", failure=FailureClass.DISK_FULL)
    raise UnavailableError(words or "the supervisor of a job ended before it said a word; try again")


@functools.cache
def why_no_mounts() -> str:
    """Return why this user cannot have mounts of its own on this host, "" where it can. Tried once."""
    tried = subprocess.run(
        [*_ISOLATED, _TRY_MOUNTS, str(_HERE)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=_environment(),
        check=False,
        timeout=_ANSWER_SECONDS,
        text=True,
    )
    return tried.stdout.strip() or tried.stderr.strip()
