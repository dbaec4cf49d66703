"""The files of a job's directory: all that the daemon and the supervisor tell each other.

====================  =========  ============================================================================
file                  written by
====================  =========  ============================================================================
``job.json``          daemon     what to run; the directory appears under its name together with this file
``lock``              daemon     empty; the live supervisor holds a record lock on it
``supervisor.json``   supervisor created once, before any user code: a job that has it is never started again
``running.json``      supervisor all ranks are there and were let go
``end.RANK``          supervisor how a rank ended; renamed to this name when nothing of the rank is left
``trouble``           supervisor why the supervisor itself gave up
``cancel``, ``kill``  daemon     requests; a signal tells the supervisor to look
``lost.json``         daemon     the supervisor is gone and did not say how the job ended
``log.RANK``          the job    both output streams, in the order in which they were written
``output.RANK``       the job    ``$COLONIES_OUTPUT``
``input.json``        daemon     ``$COLONIES_INPUT``
``work``, ``tmp``     the job    its working directory and HOME, its TMPDIR
``root``              supervisor empty; where a rank with mounts builds the file system that it sees
====================  =========  ============================================================================
"""

import contextlib
import fcntl
import json
import os
import struct
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

JOB = "job.json"
LOCK = "lock"
SUPERVISOR = "supervisor.json"
RUNNING = "running.json"
TROUBLE = "trouble"
CANCEL = "cancel"
KILL = "kill"
LOST = "lost.json"
INPUT = "input.json"
WORK = "work"
TMP = "tmp"
ROOT = "root"

MARKER = "CONTAINER_EXECUTOR_JOB"
"""Variable by which the programs of a job are known on this host; its value is made of the owner and the job id."""

NEVER = float("inf")
"""A time that does not come; JSON has null in its place."""

CANCELLED = "cancelled"
"""The cause of an end that a request preceded; every other cause is the name of a failure class."""


def marker(owner: str, job_id: str) -> str:
    """Return the value of :data:`MARKER` for a job."""
    return f"{owner}/{job_id}"


def log_name(rank: int) -> str:
    """Return the name of the file that holds a rank's output."""
    return f"log.{rank}"


def end_name(rank: int) -> str:
    """Return the name of the file that says how a rank ended."""
    return f"end.{rank}"


def output_name(rank: int) -> str:
    """Return the name of the file that a rank may leave a result in."""
    return f"output.{rank}"


class Bind(NamedTuple):
    """A directory that the job sees at another place."""

    source: str
    target: str
    read_only: bool


class Order(NamedTuple):
    """What the supervisor is to run.

    Attributes:
        job_id: The job's name.
        marker: Value of :data:`MARKER`.
        argv: Program and arguments of every rank.
        environments: The variables of each rank, in order of rank.
        mounts: Directories that the job sees.
        cpu: Millicores of one rank, 0 for no limit.
        memory: Bytes of one rank, 0 for no limit.
        walltime: Seconds that the program may run.
        grace: Seconds between TERM and KILL.
        term_at: When the job is told to end because its lifetime is nearly over, as :func:`now` counts.
        ends_at: When nothing of the job may be left.
        boot: The boot of this machine that the job belongs to.
    """

    job_id: str
    marker: str
    argv: Sequence[str]
    environments: Sequence[dict[str, str]]
    mounts: Sequence[Bind]
    cpu: int
    memory: int
    walltime: float
    grace: float
    term_at: float
    ends_at: float
    boot: str

    @property
    def ranks(self) -> int:
        """Number of ranks."""
        return len(self.environments)


def read_order(path: str) -> Order:
    """Read ``job.json`` in the directory *path*."""
    with open(os.path.join(path, JOB), encoding="utf-8") as file:
        document = json.load(file)
    request = document["request"]
    return Order(
        job_id=document["job_id"],
        marker=marker(document["mark"]["owner"], document["job_id"]),
        argv=request["argv"],
        environments=request["environments"],
        mounts=[Bind(**mount) for mount in request["mounts"]],
        cpu=request["cpu"],
        memory=request["memory"],
        walltime=_or_never(request["walltime"]),
        grace=request["grace"],
        term_at=_or_never(document["term_at"]),
        ends_at=_or_never(document["ends_at"]),
        boot=document["boot"],
    )


def _or_never(seconds: float | None) -> float:
    return NEVER if seconds is None else seconds


class End(NamedTuple):
    """How a rank ended.

    Attributes:
        exit_code: 0 to 255, 128 + n for signal n; None where no program of the rank ran or nobody saw its end.
        signal: The signal that ended it.
        cause: :data:`CANCELLED` or the name of a failure class; "" where the program ended by itself.
        reason: A sentence about the cause.
        started: Seconds since the epoch; None where it never started.
        ended: Seconds since the epoch.
        cpu_seconds: Processor time of the program and of its children that it waited for.
        peak_memory: Bytes of the largest of them.
    """

    exit_code: int | None
    signal: int | None
    cause: str
    reason: str
    started: float | None
    ended: float
    cpu_seconds: float = 0.0
    peak_memory: int = 0


def parse_end(text: bytes) -> End | None:
    """Read an exit record, or return None where the text is none: a power loss may leave zeros in its place."""
    try:
        return End(**json.loads(text))
    except (ValueError, TypeError):
        return None


def dump_end(end: End) -> bytes:
    """Write what :func:`parse_end` reads."""
    return json.dumps(end._asdict()).encode()


def now() -> float:
    """Return the seconds since this machine started, those asleep included (clock_gettime(2), CLOCK_BOOTTIME)."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def boot_id() -> str:
    """Return the id of this boot of the machine (random(4))."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


def take_lock(path: str) -> bool:
    """Take the supervisor's lock on the file *path* until this program ends; False where another one has it.

    A record lock is released by the kernel however its holder ends, is not inherited by children, and can be tested
    without being taken (fcntl(2)).
    """
    lock = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        os.close(lock)
        return False
    return True


_FLOCK = struct.Struct("hhqqi4x")
"""``struct flock`` of 64-bit Linux: type, whence, start, length, pid."""


def lock_holder(path: str) -> int | None:
    """Return the pid of the live supervisor that holds the lock file *path*, or None where there is none."""
    lock = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        answer = fcntl.fcntl(lock, fcntl.F_GETLK, _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
    finally:
        os.close(lock)
    kind, _, _, _, pid = _FLOCK.unpack(answer)
    return None if kind == fcntl.F_UNLCK else pid


def write_new(path: str, content: dict[str, Any]) -> None:
    """Write a file under a temporary name and rename it, so that it is there whole or not at all."""
    temporary = f"{path}.{os.urandom(4).hex()}.new"
    try:
        with open(temporary, "w", encoding="utf-8") as file:
            json.dump(content, file)
        os.rename(temporary, path)
    except OSError:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def write_once(path: str, content: dict[str, Any]) -> None:
    """Create a file that must not be there yet."""
    try:
        with open(path, "x", encoding="utf-8") as file:
            json.dump(content, file)
    except OSError:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        raise
