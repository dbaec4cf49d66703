"""One owner's jobs: where their folders are, and which of the jobs that Slurm knows are theirs."""

import time
from collections.abc import Collection, Mapping
from datetime import timedelta
from pathlib import Path

import attrs

from container_executor.models import Found, Handle, Mark
from container_executor_slurm import script
from container_executor_slurm.jobdir import JobDir
from container_executor_slurm.states import SlurmState

_NO_NUMBER_AGE = timedelta(minutes=1)
"""After it a folder without Slurm's number is one that nobody is submitting any more."""


@attrs.frozen
class Jobs:
    """The jobs of one owner.

    Attributes:
        owner: Whose.
        root: Folder of their folders; nobody else's are in it.
    """

    owner: str
    root: Path

    def folder(self, job_id: str) -> JobDir:
        """Return the folder of a job, which need not be there."""
        return JobDir(self.root / job_id)

    def number(self, handle: Handle) -> str:
        """Return Slurm's number of a job, "" where nobody knows it."""
        known = self.folder(handle.job_id).number()
        return known or (handle.native_id if handle.native_id.isdigit() else "")

    def mark(self, state: SlurmState) -> Mark | None:
        """Return the mark that a job in Slurm bears, or None where it is not this owner's."""
        mark = script.decode_mark(state.comment)
        return mark if mark is not None and mark.owner == self.owner and mark.job_id == state.name else None

    def live(self, states: Collection[SlurmState]) -> Mapping[str, SlurmState]:
        """Return those of *states* that are this owner's and have not ended, by job id."""
        return {
            state.name: state
            for state in states
            if not state.ended and state.word != "COMPLETING" and self.mark(state) is not None
        }

    def found(self, states: Collection[SlurmState]) -> Collection[Found]:
        """Return every job that has a folder, or that Slurm still runs without one."""
        numbers = {state.name: state.native_id for state in states if self.mark(state) is not None}
        here = {found.handle.job_id: found for path in self._paths() if (found := self._found(path, numbers))}
        strays = [state for name, state in self.live(states).items() if name not in here]
        marks = [(state, mark) for state in strays if (mark := self.mark(state))]
        return [*here.values(), *(Found(Handle(state.name, state.native_id), mark) for state, mark in marks)]

    def _paths(self) -> list[Path]:
        return sorted(self.root.iterdir()) if self.root.exists() else []

    def _found(self, path: Path, numbers: Mapping[str, str]) -> Found | None:
        folder = JobDir(path)
        mark = folder.mark()
        if mark is None or mark.owner != self.owner:
            return None
        number = folder.number() or numbers.get(path.name, "")
        if not number and timedelta(seconds=time.time() - path.stat().st_mtime) < _NO_NUMBER_AGE:
            return None
        return Found(Handle(mark.job_id, number, int(folder.facts()["ranks"])), mark)
