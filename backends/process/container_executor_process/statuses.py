"""The states of many jobs at little cost: what has not changed is not read again."""

import os
import time
from pathlib import Path

import attrs

from container_executor.models import JobState, JobStatus
from container_executor_process.evidence import read_status
from container_executor_process.supervisor import layout

_SETTLED = 1_000_000_000
"""Nanoseconds after which a further change of a directory certainly gives it another time."""


@attrs.frozen
class _Seen:
    """A running job's status, and when its directory had last changed."""

    changed: int
    status: JobStatus


@attrs.define(eq=False)
class Statuses:
    """Reads the states of jobs, and remembers those of running jobs for as long as their directories stay as they are."""

    _seen: dict[str, _Seen] = attrs.field(factory=dict, init=False)

    def read(self, directory: Path, ranks: int) -> JobStatus | None:
        """Return what is known of the job in *directory*, or None where there is none."""
        place = str(directory)
        seen = self._seen.get(place)
        try:
            changed = os.stat(place).st_mtime_ns
            if seen and seen.changed == changed and layout.lock_holder(f"{place}/{layout.LOCK}") is not None:
                return seen.status
        except FileNotFoundError:
            self._seen.pop(place, None)
            return None
        status = read_status(directory, ranks)
        if status is not None and status.state is JobState.RUNNING and time.time_ns() - changed > _SETTLED:
            self._seen[place] = _Seen(changed, status)
        else:
            self._seen.pop(place, None)
        return status
