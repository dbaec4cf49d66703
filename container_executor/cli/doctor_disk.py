"""Whether the directories of the daemon can bear what they are for."""

import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from container_executor.cli.doctor_report import Finding, Level, fault, ok, warning
from container_executor.execute.journal import JournalError, check_journal
from container_executor.execute.lock import holder

STATE = "state directory"
ROOMY = 256 * 2**20
"""Bytes that a daemon should have free for its journal, the spool of outputs and checksums."""
_TRIED = 2**20
_IN_MEMORY = frozenset({"tmpfs", "ramfs"})
_OVER_NETWORK = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "lustre", "beegfs", "gpfs", "ceph", "glusterfs", "9p", "fuse.sshfs"}
)


def check_state(place: Path) -> Iterator[Finding]:
    """Yield what is wrong with the state directory, or that nothing is."""
    setting = "set state_dir to another directory"
    problems = [*check_directory(STATE, place, setting)]
    if all(problem.level is not Level.FAULT for problem in problems):  # then it can be looked into, too
        problems += [*_nature(place), *_journal(place)]
    yield from problems
    if not problems:
        yield ok(STATE, _well(place))


def check_directory(what: str, place: Path, otherwise: str) -> Iterator[Finding]:
    """Yield why files cannot be written below *place*, which need not exist yet; *otherwise* is the fix that always works."""
    base = nearest(place)
    user = f"user {os.geteuid()}"
    if not base.is_dir():
        yield fault(what, f"{base} is no directory", otherwise)
    elif problem := _write_problem(base):
        yield fault(what, f"{user} cannot write into {base}: {problem.strerror}", _write_fix(problem, base, otherwise))
    elif (free := _free(base)) < ROOMY:
        yield warning(what, f"only {free // 2**20} MiB are free in {base}", f"free space there, or {otherwise}")


def nearest(place: Path) -> Path:
    """Return *place*, or the nearest directory above it that exists."""
    return next(path for path in (place.absolute(), *place.absolute().parents) if os.path.lexists(path))


def _write_problem(base: Path) -> OSError | None:
    """Write a file without a trace and return why that failed."""
    try:
        with tempfile.TemporaryFile(dir=base) as file:
            file.write(bytes(_TRIED))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return error
    return None


def _write_fix(problem: OSError, base: Path, otherwise: str) -> str:
    if isinstance(problem, PermissionError):
        return f"run this as the daemon's user, give it the directory (chown), or {otherwise}"
    return f"free space in {base}, or {otherwise}" if "space" in (problem.strerror or "") else otherwise


def _free(base: Path) -> int:
    found = os.statvfs(base)
    return found.f_bavail * found.f_frsize


def _nature(place: Path) -> Iterator[Finding]:
    base = nearest(place)
    kind = _file_system(base)
    if kind in _IN_MEMORY:
        why = f"{base} is on {kind}: a restart of the machine loses the key, the journal and the output not sent yet"
        yield warning(STATE, why, "set state_dir to a directory on a disk")
    elif kind in _OVER_NETWORK:
        why = f"{base} is on {kind}: SQLite's journals and locks cannot be relied on over a network"
        yield warning(STATE, why, "set state_dir to a directory on a disk of this machine")
    if place.is_dir() and place.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        yield fault(STATE, f"others can write into {place}, where keys are", f"chmod 700 {place}")


def _file_system(base: Path) -> str:
    """Return the kind of file system that *base* is on, "" where the kernel does not tell (proc(5), mountinfo)."""
    device = base.stat().st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    try:
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    kinds = [line.partition(" - ")[2].split()[0] for line in lines if line.split()[2] == wanted]
    return kinds[0] if kinds else ""


def _journal(place: Path) -> Iterator[Finding]:
    try:
        check_journal(place)
    except JournalError as error:
        yield fault(STATE, *_split(str(error)))


def _split(text: str) -> tuple[str, str]:
    """Return what a message says is wrong, and its last part, which says what to do."""
    why, _, fix = text.rpartition("; ")
    return (why, fix) if why else (fix, "put the state directory back from a backup, or set state_dir to a new one")


def _well(place: Path) -> str:
    pid = holder(place)
    if pid:
        return f"{place}, used by a daemon (program {pid})"
    return f"{place}" if place.is_dir() else f"{place}, which the daemon makes"
