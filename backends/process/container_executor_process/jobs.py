"""The directories of jobs: made whole, found again, taken away."""

import contextlib
import json
import logging
import os
import shutil
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from container_executor.models import Mark, Plan
from container_executor_process.removal import delete_tree
from container_executor_process.supervisor import layout

_log = logging.getLogger(__name__)

_NEW = ".new-"
_OLD = ".old-"

_STALE = 60.0
"""Seconds after which a directory that is still being made belongs to nobody."""


def make(root: Path, plan: Plan, lifetime: timedelta | None) -> bool:
    """Make the directory of a job, whole and at once; False where it is there already."""
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = root / f"{_NEW}{plan.job_id}-{os.urandom(4).hex()}"
    try:
        _fill(fresh, plan, lifetime)
        fresh.rename(root / plan.job_id)
    except OSError:
        shutil.rmtree(fresh, ignore_errors=True)
        if (root / plan.job_id).is_dir():  # a directory that is not empty is not replaced (rename(2))
            return False
        raise
    _make_durable(root, plan.job_id)
    return True


def _fill(directory: Path, plan: Plan, lifetime: timedelta | None) -> None:
    directory.mkdir(mode=0o700)
    for name in (layout.WORK, layout.TMP):
        (directory / name).mkdir(mode=0o700)
    _write(directory / layout.LOCK, "")
    if plan.job.input:
        _write(directory / layout.INPUT, plan.job.input)
    _write(directory / layout.JOB, json.dumps(_document(plan, lifetime)))


def _document(plan: Plan, lifetime: timedelta | None) -> dict[str, object]:
    now = layout.now()
    term, end = None, None
    if lifetime is not None:
        end = now + lifetime.total_seconds()
        term = end - min(plan.job.grace, lifetime / 2).total_seconds()
    return {
        "job_id": plan.job_id,
        "mark": plan.job.mark.to_dict(),
        "ranks": plan.job.ranks,
        "boot": layout.boot_id(),
        "term_at": term,
        "ends_at": end,
        "request": dict(plan.request),
    }


def _write(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def _make_durable(root: Path, job_id: str) -> None:
    """Have the job's directory survive a power cut, after which a job that may have run is not run again."""
    for path in (root / job_id / layout.JOB, root):
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def find(root: Path, owner: str) -> Iterator[tuple[Path, Mark, int]]:
    """Yield the directory, mark and number of ranks of every job of *owner*."""
    for directory in sorted(root.iterdir()) if root.exists() else ():
        if directory.name.startswith("."):
            continue
        try:
            document = json.loads((directory / layout.JOB).read_bytes())
            mark, ranks = Mark.from_dict(document["mark"]), int(document["ranks"])
        except (OSError, ValueError, KeyError, TypeError):  # not ours, or removed meanwhile
            continue
        if mark.owner == owner and mark.job_id == directory.name:
            yield directory, mark, ranks


def take_away(root: Path, job_id: str) -> None:
    """Delete the directory of a job that has ended, and what an interrupted call left of it.

    Raises:
        OSError: The job made something that this user cannot delete. It does not count as the job any more.
    """
    with contextlib.suppress(FileNotFoundError):
        (root / job_id).rename(root / f"{_OLD}{job_id}-{os.urandom(4).hex()}")
    for rest in root.glob(f"{_OLD}{job_id}-*"):
        with contextlib.suppress(FileNotFoundError):
            delete_tree(rest)


def sweep(root: Path) -> None:
    """Delete what calls that were interrupted left behind."""
    for entry in root.glob(".*-*"):
        fresh = entry.name.startswith(_NEW)
        if not fresh and not entry.name.startswith(_OLD):
            continue
        with contextlib.suppress(FileNotFoundError):
            if fresh and time.time() - entry.stat().st_mtime < _STALE:
                continue
            try:
                delete_tree(entry)
            except OSError as error:
                _log.warning("job directory %s cannot be deleted: %s", entry, error)
