"""Runs ``apptainer build``: for as long as it takes, reporting its lines, until it is told to stop."""

import os
import re
import signal
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event

from container_executor.errors import RejectedError, UnavailableError
from container_executor.models import FailureClass, Progress
from container_executor_slurm.commands import environment

_NOT_FOUND = re.compile(
    r"manifest.unknown|name.unknown|not found|no such file|does not exist|no such image", re.IGNORECASE
)
_NO_LOGIN = re.compile(r"unauthorized|authentication required|denied|forbidden", re.IGNORECASE)
_FULL = re.compile(r"no space left|disk quota", re.IGNORECASE)


def build(argv: Sequence[str], said: Path, report: Callable[[Progress], None], stop: Event) -> bool:
    """Run *argv*, which builds an image and whose words go to the file *said*; False where *stop* ended it.

    Raises:
        RejectedError: There is no such image, or no permission.
        UnavailableError: The registry did not answer, or a disk is full.
    """
    code = _follow(argv, said, report, stop)
    if stop.is_set():
        return False
    if code != 0:
        raise refusal(argv[-1], said.read_text(encoding="utf-8", errors="replace"))
    return True


def _follow(argv: Sequence[str], said: Path, report: Callable[[Progress], None], stop: Event) -> int:
    """Run a long command that writes to *said*, reporting its lines; return its exit code. Ends it when *stop* is set."""
    env = {**environment(), "APPTAINER_TMPDIR": str(said.parent)}
    with said.open("wb") as out:
        try:
            process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, env=env, start_new_session=True
            )
        except OSError as error:
            raise UnavailableError(f"cannot run {argv[0]}: {error.strerror}") from error
    reported = 0
    try:
        while process.poll() is None and not stop.wait(0.05):
            reported = _report(said, reported, report)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    _report(said, reported, report)
    return process.wait()


def _report(said: Path, reported: int, report: Callable[[Progress], None]) -> int:
    """Report the lines after the first *reported*, but for those that name our workplace; return how many there are."""
    lines = said.read_text(encoding="utf-8", errors="replace").splitlines()
    for line in lines[reported:]:
        words = line.partition("INFO:")[2].strip()
        if words and str(said.parent) not in words:
            report(Progress(words))
    return len(lines)


def refusal(uri: str, said: str) -> RejectedError | UnavailableError:
    """Return the error that Apptainer's words about the image *uri* mean."""
    last = "; ".join(line.strip() for line in said.splitlines()[-3:])[:500]
    message = f"{uri}: {last}"
    if _FULL.search(said):
        return UnavailableError(message, failure=FailureClass.DISK_FULL)
    if _NO_LOGIN.search(said):
        return RejectedError(message, failure=FailureClass.IMAGE_AUTH)
    if _NOT_FOUND.search(said):
        return RejectedError(message, failure=FailureClass.IMAGE_NOT_FOUND)
    return UnavailableError(message, failure=FailureClass.IMAGE_TRANSIENT)
