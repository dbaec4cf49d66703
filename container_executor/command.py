"""Runs a command: an argument list, a deadline, bounded output, and a typed result. No shell, no secret in any message."""

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import IO

import attrs

from container_executor.errors import RejectedError, UnavailableError
from container_executor.secret import Secret, mask

OUTPUT_LIMIT = 8 * 2**20
"""Bytes of each output stream that are kept, unless told otherwise."""

_CHUNK = 65_536
_LOOK = 0.02
"""Seconds between two looks whether the program has ended while its output is still open: a child may hold it."""


@attrs.frozen
class Result:
    """What a command did.

    Attributes:
        argv: What ran.
        exit_code: 128 + n where signal n ended it.
        stdout: What it wrote, bytes that are not UTF-8 replaced.
        stderr: Likewise.
        cut: More was written than is kept: the beginning is here.
    """

    argv: tuple[str, ...]
    exit_code: int
    stdout: str
    stderr: str
    cut: bool = False

    def complaint(self) -> str:
        """Return what it did as words for a message: program, exit code and its last words."""
        last = (self.stderr.strip() or self.stdout.strip()).splitlines()[-3:]
        words = "; ".join(line.strip()[:300] for line in last)
        return f"{self.argv[0]} ended with {self.exit_code}" + (f": {words}" if words else "")


def run(
    argv: Sequence[str],
    *,
    timeout: timedelta,
    stdin: str | Secret = "",
    env: Mapping[str, str | Secret] | None = None,
    cwd: Path | None = None,
    limit: int = OUTPUT_LIMIT,
    check: bool = True,
) -> Result:
    """Run *argv* and return when it has ended.

    The program gets a session of its own, so that its children can be ended with it. Output that a child keeps open after
    the program's end is not waited for.

    Args:
        argv: Program, found on PATH, and its arguments. Others can read them: no secrets.
        timeout: After it the program and its children are killed.
        stdin: Text that it reads.
        env: All variables that it has; None gives it ours. Secrets in it, and as *stdin*, are masked in what is returned.
        cwd: Where it runs; None is here.
        limit: Bytes of each stream that are kept.
        check: An exit code that is not 0 is an error.

    Raises:
        UnavailableError: It could not be started or did not end in time; what it did is not known.
        RejectedError: *check*, and it ended with an exit code that is not 0; or an argument or variable holds a NUL.
    """
    secrets = [value for value in [stdin, *(env or {}).values()] if isinstance(value, Secret)]
    process = _start(argv, env, cwd)
    try:
        capture = _Capture(process, _plain(stdin).encode(), limit)
        capture.follow(time.monotonic() + timeout.total_seconds())
    finally:
        _end(process)
    if not capture.in_time:
        raise UnavailableError(f"{argv[0]} did not end within {timeout.total_seconds():g} s")
    result = _result(argv, process.returncode, capture, secrets)
    if check and result.exit_code != 0:
        raise RejectedError(result.complaint())
    return result


def _start(argv: Sequence[str], env: Mapping[str, str | Secret] | None, cwd: Path | None) -> "subprocess.Popen[bytes]":
    pipe = subprocess.PIPE
    variables = None if env is None else {name: _plain(value) for name, value in env.items()}
    try:
        return subprocess.Popen(
            list(argv), stdin=pipe, stdout=pipe, stderr=pipe, env=variables, cwd=cwd, start_new_session=True
        )
    except FileNotFoundError as error:
        missing = f"directory {cwd}" if cwd and not cwd.is_dir() else f"{argv[0]} on PATH"
        raise UnavailableError(f"cannot run {argv[0]}: there is no {missing}") from error
    except OSError as error:
        raise UnavailableError(f"cannot run {argv[0]}: {error.strerror}") from error
    except ValueError as error:
        raise RejectedError(f"cannot run {argv[0]}: {error}") from None


def _plain(text: str | Secret) -> str:
    return text.reveal() if isinstance(text, Secret) else text


def _end(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()
    process.wait()


def _result(argv: Sequence[str], code: int, capture: "_Capture", secrets: Sequence[Secret]) -> Result:
    stdout, stderr = (mask(bytes(kept).decode(errors="replace"), secrets) for kept in (capture.stdout, capture.stderr))
    return Result(tuple(argv), code if code >= 0 else 128 - code, stdout, stderr, capture.cut)


class _Capture:
    """Feeds a program and keeps what it writes, up to a limit of each stream."""

    def __init__(self, process: "subprocess.Popen[bytes]", stdin: bytes, limit: int) -> None:
        self._process = process
        self._left = memoryview(stdin)
        self._limit = limit
        self._selector = selectors.DefaultSelector()
        self.stdout, self.stderr = bytearray(), bytearray()
        self.cut = False
        self.in_time = True

    def follow(self, deadline: float) -> None:
        """Feed and read until the program has ended, or the deadline (monotonic seconds) has passed."""
        with self._selector:
            self._register()
            while self._selector.get_map() or self._process.poll() is None:
                ended = self._process.poll() is not None
                if time.monotonic() > deadline and not ended:
                    self.in_time = False
                    return
                if not self._step(0 if ended else _LOOK) and ended:
                    return

    def _register(self) -> None:
        pipes = {self._process.stdin: None, self._process.stdout: self.stdout, self._process.stderr: self.stderr}
        for pipe, kept in pipes.items():
            if pipe is None:
                continue
            os.set_blocking(pipe.fileno(), False)
            event = selectors.EVENT_WRITE if kept is None else selectors.EVENT_READ
            self._selector.register(pipe, event, kept)

    def _step(self, wait: float) -> bool:
        """Do what can be done now; return whether anything was."""
        if not self._selector.get_map():
            time.sleep(wait)
            return False
        ready = self._selector.select(wait)
        for key, event in ready:
            pipe: IO[bytes] = key.fileobj  # type: ignore[assignment]  # what _register gave it
            if event == selectors.EVENT_WRITE:
                self._write(pipe)
            else:
                self._read(pipe, key.data)
        return bool(ready)

    def _write(self, pipe: IO[bytes]) -> None:
        try:
            self._left = self._left[os.write(pipe.fileno(), self._left[:_CHUNK]) :]
        except BrokenPipeError:
            self._left = self._left[:0]
        if not self._left:
            self._selector.unregister(pipe)
            pipe.close()

    def _read(self, pipe: IO[bytes], kept: bytearray) -> None:
        data = os.read(pipe.fileno(), _CHUNK)
        if not data:
            self._selector.unregister(pipe)
        room = self._limit - len(kept)
        kept += data[:room]
        self.cut = self.cut or len(data) > room
