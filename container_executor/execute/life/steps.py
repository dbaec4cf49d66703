"""How far one attempt of a process has come: each step is journaled before another program could see it.

A step whose record is there is not taken again, and every step that may have been taken half is safe to take once more.
"""

from typing import Any

import attrs

from container_executor.execute.clock import boot, now, wall
from container_executor.execute.decide import Why
from container_executor.execute.journal import Journal, JournalError
from container_executor.execute.life.end import End
from container_executor.execute.outcome import Outcome
from container_executor.execute.record import Forwarded, Record, Stage
from container_executor.logs import Logger
from container_executor.models import Handle, JobSpec

log = Logger(__name__)


@attrs.define(eq=False)
class Steps:
    """The record of one attempt; replaced, and journaled, with each step.

    A launch that cannot be journaled is not made; every other step goes on in memory alone.
    """

    journal: Journal
    record: Record

    @property
    def under_way(self) -> JobSpec | None:
        """The job that is, or may be, on the engine; None before its launch and after its end."""
        return self.record.job if self.record.stage in (Stage.LAUNCHING, Stage.LAUNCHED) else None

    @property
    def end(self) -> End | None:
        """How the attempt ended, None before that."""
        if self.record.outcome is None:
            return None
        return End(self.record.outcome, Why(self.record.stopped) if self.record.stopped else None)

    @property
    def submitted(self) -> float:
        """When the job was submitted, on the boot clock; after a reboot only the time of day can tell."""
        if self.record.boot == boot():
            return self.record.submitted_at
        return now() - max(0.0, wall().timestamp() - self.record.submitted)

    @property
    def launches(self) -> int:
        """How often this assignment was launched."""
        return self.record.launch - self.record.base

    def began(self) -> None:
        """Note that the process is ours."""
        self._note()

    def launching(self, job: JobSpec) -> None:
        """Note that a job is about to be submitted.

        Raises:
            JournalError: It must not be, because it could not be noted.
        """
        record = attrs.evolve(self.record, stage=Stage.LAUNCHING, launch=job.mark.launch, job=job)
        self.journal.write(record)
        self.record = record

    def launched(self, handle: Handle) -> None:
        """Note that the engine has the job."""
        moments = {"submitted": wall().timestamp(), "submitted_at": now(), "boot": boot()}
        self._note(stage=Stage.LAUNCHED, handle=handle, **moments)

    def forwarded(self, forwarded: Forwarded) -> None:
        """Note how far the output has come."""
        self._note(forwarded=forwarded)

    def launch_failed(self) -> None:
        """Note that nothing is left of a launch, and that another may follow."""
        self._note(stage=Stage.ASSIGNED, handle=None, job=None)

    def ended(self, end: End) -> None:
        """Note what became of the job."""
        self._note(stage=Stage.ENDED, outcome=end.outcome, stopped=end.stopped.value if end.stopped else "")

    def staged(self, outcome: Outcome) -> None:
        """Note that the results are out, or that they cannot be."""
        self._note(stage=Stage.STAGED, outcome=outcome)

    def closed(self, *, stood: bool) -> None:
        """Note that the server knows; or that it knew, and gave the process away again."""
        self._note(stage=Stage.CLOSED if stood else Stage.UNDONE)

    def done(self) -> None:
        """Note that nothing is left on the engine; an outcome that the server did not keep is still needed."""
        if self.record.stage is not Stage.UNDONE:
            self._note(stage=Stage.DONE)

    def _note(self, **changes: Any) -> None:
        self.record = attrs.evolve(self.record, **changes)
        try:
            self.journal.write(self.record)
        except JournalError as error:
            log.error("not journaled", process=self.record.process_id, stage=self.record.stage, error=str(error))
