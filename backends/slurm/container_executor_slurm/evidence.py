"""All that is known of a job, and whether it is enough to say how it ended. Pure.

Slurm and the records on the shared file system do not arrive together, so an end is believed in this order: every rank's own
record; without one, Slurm's word where that explains it; without either, silence for :data:`SETTLE`.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

import attrs

from container_executor.models import FailureClass
from container_executor_slurm.records import Done, Exit
from container_executor_slurm.states import SlurmState

SETTLE = timedelta(seconds=15)
"""How long a file written on a node may take to be seen here, as network file systems cache what is not there."""


@attrs.frozen
class Evidence:
    """All that is known of a job.

    Attributes:
        ranks: How many there are.
        image: What runs.
        launched: The job's one run has begun.
        again: Slurm has started the job once more; that run left at once.
        exits: Exit records by rank.
        began: When programs began, of ranks without a record.
        outputs: What ranks wrote to ``$COLONIES_OUTPUT``.
        complaints: The last words of Apptainer, of ranks that it could not start.
        srun: What srun said of ranks that failed; whole only once there is *done*.
        done: The record of the batch script.
        slurm: What Slurm says, None where it was not asked.
        waited: How long ago Slurm was first seen to say that the run is over.
    """

    ranks: int
    image: str = ""
    launched: bool = False
    again: bool = False
    exits: Mapping[int, Exit] = attrs.field(factory=dict)
    began: Mapping[int, datetime] = attrs.field(factory=dict)
    outputs: Mapping[int, str] = attrs.field(factory=dict)
    complaints: Mapping[int, str] = attrs.field(factory=dict)
    srun: Mapping[int, str] = attrs.field(factory=dict)
    done: Done | None = None
    slurm: SlurmState | None = None
    waited: timedelta = timedelta(0)

    @property
    def complete(self) -> bool:
        """True where the records tell the end and Slurm need not be asked."""
        if not self.recorded or self.slurm_failure is not None:
            return False
        if self.done is not None:
            return self.done.reason == "ended"
        # srun's words about a failure come with the batch script's record, as does what a TERM was about.
        return all(record.code == 0 and not record.cause and not record.signalled for record in self.exits.values())

    @property
    def recorded(self) -> bool:
        """True once every rank has an exit record."""
        return len(self.exits) == self.ranks

    @property
    def requeued(self) -> bool:
        """True where Slurm put the job back into its queue: its one run is over, whatever becomes of the next."""
        if self.complete:
            return False
        waits_again = self.launched and self.slurm is not None and self.slurm.waits
        stopped = self.done is not None and self.done.reason == "signalled"
        # A controller that lost its memory may say PENDING of a job that runs: only a lasting word counts.
        return self.again or (waits_again and (stopped or self.waited > SETTLE))

    @property
    def over(self) -> bool:
        """True where Slurm says that the job's run has ended, though records may still be on their way."""
        return self.slurm is not None and (self.slurm.ended or (self.launched and self.slurm.waits))

    @property
    def slurm_failure(self) -> FailureClass | None:
        """The class that Slurm's word about an end proves."""
        return self.slurm.failure if self.slurm and self.slurm.ended else None

    def settled(self, now: datetime) -> bool:
        """True once records that are still missing will not come."""
        if self.complete or (self.done is not None and self.done.reason in ("cancelled", "expired")):
            return True
        if self.requeued:
            return True
        if self.done is None or self.done.reason == "signalled":
            return self._ended_by_slurm()
        explained = all(rank in self.exits or rank in self.srun for rank in range(self.ranks))
        return explained or (self.done.ended is not None and now - self.done.ended > SETTLE)

    def _ended_by_slurm(self) -> bool:
        if self.slurm is None or not self.slurm.ended:
            return False
        if self.recorded or self.waited > SETTLE:
            return True
        # The programs of a node that Slurm has lost run on, until they see that their job is over.
        return self.slurm_failure not in (None, FailureClass.NODE_LOST)

    def awaits_reason(self, rank: int, now: datetime) -> bool:
        """True while it may still become known what a rank that has ended owes its end to.

        A TERM may be of Slurm's sending, to the whole job; a KILL may be for memory, which srun tells when it hears of the end.
        """
        record = self.exits[rank]
        late = record.ended is None or now - record.ended > 2 * SETTLE
        if late or (self.done is not None and self.done.reason != "signalled"):
            return False
        return record.signalled or (record.code == 137 and not record.cause and rank not in self.srun)
