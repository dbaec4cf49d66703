"""The program that runs one job of the spool and outlives the daemon: ``python -m container_executor_spool.keeper DIRECTORY``.

It leaves at once where another keeper has the job or had it. All descendants of the program become its own children when their
parents die (prctl(2), PR_SET_CHILD_SUBREAPER), so it can end every one of them.
"""

import contextlib
import ctypes
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

PR_SET_CHILD_SUBREAPER = 36
PAUSE = 0.02


def main() -> None:
    """Become a program of its own, take the job, run it, and record its end."""
    place = Path(sys.argv[1])
    with (place / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        if (place / "started").exists():
            return
        (place / "started").touch()
        if os.fork():  # the child holds the lock on; the caller need not wait for the job
            return
        os.setsid()
        keep(place, json.loads((place / "job.json").read_text()))


def keep(place: Path, order: Mapping[str, Any]) -> None:
    """Run the job to its end."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        program = start(place, order)
    except OSError as error:
        record(place, 127 if isinstance(error, FileNotFoundError) else 126, reason=str(error))
        return
    failure = watch(place, order, program)
    while left := list(descendants(os.getpid())):
        send(left, signal.SIGKILL)
        reap()
    record(place, 128 - program.returncode if program.returncode < 0 else program.returncode, failure)


def start(place: Path, order: Mapping[str, Any]) -> subprocess.Popen[bytes]:
    """Start the program in a clean environment, with its output in a file."""
    files = {"COLONIES_INPUT": str(place / "input"), "COLONIES_OUTPUT": str(place / "result")}
    env = {"PATH": os.defpath, "HOME": str(place / "work"), **order["env"], **files}
    with (place / "output").open("ab") as output:
        return subprocess.Popen(
            order["argv"], cwd=place / "work", env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )


def watch(place: Path, order: Mapping[str, Any], program: subprocess.Popen[bytes]) -> str:
    """Wait for the program, ending it when it is time or somebody asks; return the failure class if it was the walltime."""
    never = float("inf")
    grace, lifetime = order["grace"], order["ends_at"] or never
    walltime = time.time() + order["walltime"] if order["walltime"] else never
    asked = False
    while program.poll() is None:
        now = time.time()
        if (place / "kill").exists() or now >= min(lifetime, walltime + grace):
            send(descendants(os.getpid()), signal.SIGKILL)
        elif not asked and ((place / "term").exists() or now >= min(lifetime - grace, walltime)):
            asked = True
            send(descendants(os.getpid()), signal.SIGTERM)
        time.sleep(PAUSE)
    return "walltime" if time.time() >= walltime else ""


def descendants(parent: int) -> Iterator[int]:
    """Find all programs below *parent*."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            fields = stat.read_text(errors="replace").rpartition(")")[2].split()  # proc(5): state, ppid, ...
            if fields[0] != "Z":
                children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    waiting = [parent]
    while waiting:
        found = children.get(waiting.pop(), [])
        yield from found
        waiting += found


def send(programs: Iterator[int] | list[int], number: signal.Signals) -> None:
    """Send a signal to programs, some of which may be gone."""
    for program in programs:
        with contextlib.suppress(ProcessLookupError):
            os.kill(program, number)


def reap() -> None:
    """Take the exit codes of programs that became our children."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def record(place: Path, code: int, failure: str = "", reason: str = "") -> None:
    """Write the end under a temporary name, then rename it: it is whole or not there."""
    text = json.dumps({"code": code, "failure": failure, "reason": reason, "ended": time.time()})
    (place / "exit.partial").write_text(text)
    (place / "exit.partial").rename(place / "exit.json")


if __name__ == "__main__":
    main()
