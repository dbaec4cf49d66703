"""How far one attempt of a process has come: the values that the journal keeps."""

import enum
from datetime import datetime

import attrs

from container_executor.execute.outcome import Outcome
from container_executor.models import Handle, JobSpec


class Stage(enum.StrEnum):
    """How far a process has come. Each names the record that was written last."""

    ASSIGNED = "assigned"  # the server gave it to us; nothing was done yet
    LAUNCHING = "launching"  # a launch number is taken; the engine may have the job or not
    LAUNCHED = "launched"  # the engine has the job
    ENDED = "ended"  # the outcome is known
    STAGED = "staged"  # results are out
    CLOSED = "closed"  # the server knows
    UNDONE = "undone"  # the server accepted the close, then gave the process away again
    DONE = "done"  # nothing is left on the engine


@attrs.frozen
class Forwarded:
    """How far the output of a job has come to the server.

    Attributes:
        cursor: The backend's cursor after what has arrived.
        pending: What :class:`~container_executor.execute.output.text.Pending` holds, as JSON.
        sent: Characters that have arrived.
        said: Names of our own lines that have arrived, so that a restart does not repeat them.
        since: Time of a log entry that is known to have arrived, in the server's nanoseconds.
        entries: How many of our entries after *since* have arrived.
        next: What will hold once the entry under way has arrived; None while none is.
    """

    cursor: str = ""
    pending: dict[str, str] = attrs.field(factory=dict)
    sent: int = 0
    said: tuple[str, ...] = ()
    since: int = 0
    entries: int = 0
    next: "Forwarded | None" = None


@attrs.frozen
class Record:
    """All that is known of one attempt of a process.

    Attributes:
        process_id: The server's id.
        attempt: The server's ``retries``.
        started: The server's start time of the assignment that we hold.
        stage: How far it has come.
        launch: The launch number in use, 0 before the first.
        base: The launch number that an earlier assignment of this attempt had come to.
        job: What was launched, with its image pinned.
        handle: The job on the engine.
        submitted: When it was submitted, in seconds since 1970.
        submitted_at: The same on the boot clock, which nobody can set.
        boot: The boot of this machine that *submitted_at* belongs to, "" for none.
        forwarded: How far its output has come.
        outcome: What became of it.
        stopped: Why we stopped it, "" where we did not.
    """

    process_id: str
    attempt: int
    started: datetime | None = None
    stage: Stage = Stage.ASSIGNED
    launch: int = 0
    base: int = 0
    job: JobSpec | None = None
    handle: Handle | None = None
    submitted: float = 0.0
    submitted_at: float = 0.0
    boot: str = ""
    forwarded: Forwarded = attrs.field(factory=Forwarded)
    outcome: Outcome | None = None
    stopped: str = ""

    @property
    def key(self) -> tuple[str, int]:
        """What tells it from every other record."""
        return (self.process_id, self.attempt)
