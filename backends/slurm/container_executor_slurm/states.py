"""What Slurm's words for the state of a job mean (https://slurm.schedmd.com/job_state_codes.html, Slurm 26.05)."""

import attrs

from container_executor.models import FailureClass, JobState

_WAITS = frozenset(
    {
        "PENDING",
        "CONFIGURING",
        "POWER_UP_NODE",
        "EXPEDITING",
        "REQUEUED",
        "REQUEUE_FED",
        "REQUEUE_HOLD",
        "RESV_DEL_HOLD",
        "SPECIAL_EXIT",
    }
)
_RUNS = frozenset({"RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT", "RESIZING", "UPDATE_DB"})
_ENDS: dict[str, FailureClass | None] = {
    "COMPLETED": None,
    "FAILED": None,
    "CANCELLED": FailureClass.CANCELLED,
    "REVOKED": FailureClass.CANCELLED,
    "TIMEOUT": FailureClass.WALLTIME,
    "DEADLINE": FailureClass.WALLTIME,
    "OUT_OF_MEMORY": FailureClass.OOM,
    "PREEMPTED": FailureClass.PREEMPTED,
    "NODE_FAIL": FailureClass.NODE_LOST,
    "BOOT_FAIL": FailureClass.NODE_LOST,
    "LAUNCH_FAILED": FailureClass.NEVER_STARTED,
    "RECONFIG_FAIL": FailureClass.NEVER_STARTED,
}

_NEVER_FITS = frozenset({"BadConstraints", "PartitionNodeLimit", "PartitionTimeLimit", "NodeDown", "InvalidAccount"})
_QUOTAS = ("QOS", "Assoc", "MaxMemPerLimit")
"""How the reasons of jobs that wait for a limit begin (https://slurm.schedmd.com/job_reason_codes.html)."""


@attrs.frozen
class SlurmState:
    """What Slurm says of a job.

    Attributes:
        word: Its state word, such as ``CANCELLED``, without what follows it.
        reason: Why it waits or ended, in Slurm's words; "" where it says ``None``.
        exit_code: As Slurm prints it, such as ``3:0``; "" where it was not asked.
        comment: What the job bears.
        name: The job's name.
        native_id: Slurm's number.
    """

    word: str
    reason: str = ""
    exit_code: str = ""
    comment: str = ""
    name: str = ""
    native_id: str = ""

    @property
    def ended(self) -> bool:
        """True once nothing of the job can run. False for a word that is not in Slurm's list: unknown is not done."""
        return self.word in _ENDS

    @property
    def waits(self) -> bool:
        """True while no program of the job has run."""
        return self.word in _WAITS

    @property
    def live(self) -> JobState:
        """The state of a job that has not ended."""
        return JobState.PENDING if self.waits else JobState.RUNNING

    @property
    def failure(self) -> FailureClass | None:
        """The class that the word proves, or the reason for which it waits."""
        if self.waits and self.reason in _NEVER_FITS:
            return FailureClass.UNSCHEDULABLE
        if self.waits and self.reason.startswith(_QUOTAS):
            return FailureClass.QUOTA
        return _ENDS.get(self.word)

    def words(self) -> str:
        """Return what Slurm said, for people."""
        known = self.ended or self.waits or self.word in _RUNS
        reason = f" ({self.reason})" if self.reason else ""
        code = f" {self.exit_code}" if self.exit_code else ""
        return f"Slurm says {self.word}{code}{reason}" + ("" if known else ", a state that this version does not know")
