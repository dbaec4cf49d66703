"""Hands a job in, once: under a lock, with a look for what a lost reply left behind."""

import json
import time
from collections.abc import Callable
from datetime import timedelta

import attrs

from container_executor.errors import BackendError, RejectedError
from container_executor.models import FailureClass, Handle, JobSpec, Plan
from container_executor_slurm import script
from container_executor_slurm.commands import Commands
from container_executor_slurm.jobdir import WAKES, JobDir
from container_executor_slurm.jobs import Jobs


@attrs.frozen
class Submission:
    """Hands jobs in.

    Attributes:
        jobs: Whose.
        slurm: Slurm's commands.
        longest: Gives the minutes that the partition lets a job run, None where it sets no bound.
    """

    jobs: Jobs
    slurm: Commands
    longest: Callable[[], int | None]

    def submit(self, plan: Plan, lifetime: timedelta | None) -> Handle:
        """Return the job's handle: of a new job, or of the one that was there."""
        folder = self.jobs.folder(plan.job_id)
        with folder.locked():
            known = folder.mark()
            if known is not None and known != plan.job.mark:
                raise RejectedError(f"{plan.job_id}: {folder.path} belongs to another job")
            number = folder.number() or (self.lost(plan.job_id) if known else "")
            if not number:
                number = self._send(folder, plan, lifetime)
            folder.write("number", number)
            return Handle(plan.job_id, folder.number(), plan.job.ranks)

    def lost(self, job_id: str) -> str:
        """Return the number of a job whose submission we have no reply to, "" where there is none."""
        states = self.slurm.queue_by_name(job_id).values()
        return next((state.native_id for state in states if self.jobs.mark(state) is not None), "")

    def _send(self, folder: JobDir, plan: Plan, lifetime: timedelta | None) -> str:
        minutes = self._minutes(plan.job, lifetime)
        _leave(folder, plan, lifetime)
        try:
            return self.slurm.submit(plan.request["script"], minutes)
        except BackendError as error:
            number = self.lost(plan.job_id)
            if not number and isinstance(error, RejectedError):
                folder.delete()
            if not number:
                raise
            return number

    def _minutes(self, job: JobSpec, lifetime: timedelta | None) -> int | None:
        longest = self.longest()
        if job.walltime and longest and job.walltime > timedelta(minutes=longest):
            message = f"the walltime {job.walltime} is more than the partition allows: {longest} minutes"
            raise RejectedError(message, failure=FailureClass.UNSCHEDULABLE)
        return script.minutes(job, lifetime, longest)


def _leave(folder: JobDir, plan: Plan, lifetime: timedelta | None) -> None:
    """Write what the script finds in the folder; the mark last, which makes it a job's."""
    for place in (folder.path / "exits", folder.path.parent / WAKES):
        place.mkdir(exist_ok=True)
    facts = {**plan.job.mark.to_dict(), "image": plan.request["image"], "ranks": str(plan.job.ranks)}
    files = {
        "script": plan.request["script"],
        "input": plan.job.input,
        "deadline": script.deadline_line(lifetime, plan.job.grace, time.time()),
        "job.json": json.dumps(facts),
    }
    for name, text in files.items():
        if text:
            folder.write(name, text)
