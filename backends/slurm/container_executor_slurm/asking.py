"""Finds out how jobs are: their records first, then one question to Slurm about all whose records do not tell."""

import json
import time
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta

import attrs

from container_executor.models import Handle, JobStatus
from container_executor_slurm.commands import Commands
from container_executor_slurm.evidence import Evidence
from container_executor_slurm.gathering import gather
from container_executor_slurm.jobs import Jobs
from container_executor_slurm.states import SlurmState
from container_executor_slurm.verdict import judge


@attrs.define(eq=False)
class Inquiry:
    """Answers how jobs are.

    Attributes:
        jobs: Whose.
        slurm: Slurm's commands.
        accounting: Whether ``sacct`` can be asked about what the controller has forgotten.
        over_since: When Slurm was first seen to say that a job is over, by job id (monotonic seconds); kept between questions.
    """

    jobs: Jobs
    slurm: Commands
    accounting: bool
    over_since: dict[str, float]

    def status(self, handles: Collection[Handle]) -> dict[str, JobStatus]:
        """Return how jobs are, by job id. One that neither has a folder nor is known to Slurm is left out."""
        now = datetime.now(UTC)
        known = {handle: self._records(handle) for handle in handles if self.jobs.folder(handle.job_id).exists}
        waiting = {handle: evidence for handle, evidence in known.items() if not evidence.settled(now)}
        states = self.states(waiting)
        for handle, evidence in waiting.items():
            if state := states.get(handle.job_id):
                known[handle] = self._with(state, handle, evidence)
            else:
                del known[handle]
        found = {handle.job_id: judge(evidence, self.jobs.number(handle), now) for handle, evidence in known.items()}
        strays = self.strays([handle for handle in handles if not self.jobs.folder(handle.job_id).exists])
        return {**found, **strays}

    def settled(self, handle: Handle) -> bool:
        """True where the records tell that nothing more can come."""
        return self._records(handle).settled(datetime.now(UTC))

    def is_over(self, handle: Handle) -> bool:
        """True once nothing of the job runs any more, its batch script included."""
        records = self._records(handle)
        if records.done is not None and not records.requeued:
            return True
        state = self.states([handle]).get(handle.job_id)
        return state is None or state.ended

    def states(self, handles: Collection[Handle]) -> Mapping[str, SlurmState]:
        """Return Slurm's word about jobs, by job id: the controller's, or the accounting's where it has forgotten."""
        numbers = {number: handle.job_id for handle in handles if (number := self.jobs.number(handle))}
        states = dict(self.slurm.queue(numbers))
        if self.accounting:
            states.update(self.slurm.history(numbers.keys() - states.keys()))
        # Slurm's numbers begin again one day: one with another name is another job.
        return {state.name: state for number, state in states.items() if numbers.get(number) == state.name}

    def strays(self, handles: Collection[Handle]) -> Mapping[str, JobStatus]:
        """Return those jobs without a folder that Slurm still has: live ones that bear our mark."""
        if not handles:
            return {}
        live = self.jobs.live(self.slurm.queue_all().values())
        words = "its folder in the shared directory is gone"
        return {
            handle.job_id: JobStatus(state.live, (), None, words, state.native_id)
            for handle in handles
            if (state := live.get(handle.job_id))
        }

    def _records(self, handle: Handle) -> Evidence:
        return gather(self.jobs.folder(handle.job_id), handle.ranks)

    def _with(self, state: SlurmState, handle: Handle, evidence: Evidence) -> Evidence:
        """Add Slurm's word, and keep it if it is the last."""
        heard = attrs.evolve(evidence, slurm=state)
        if not heard.over:
            self.over_since.pop(handle.job_id, None)
            return heard
        since = self.over_since.setdefault(handle.job_id, time.monotonic())
        waited = timedelta(seconds=time.monotonic() - since)
        whole = attrs.evolve(self._records(handle), slurm=state, waited=waited)
        folder = self.jobs.folder(handle.job_id)
        if not whole.recorded and state.ended:
            folder.write("over", "")
        if whole.settled(datetime.now(UTC)):
            self.over_since.pop(handle.job_id, None)
            if not attrs.evolve(whole, slurm=None).complete:
                folder.write("slurm", json.dumps(attrs.asdict(state)))
        return whole
