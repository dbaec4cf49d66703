"""What became of a job, rank by rank, and what its ends are called."""

import enum
import signal as signals
from collections.abc import Sequence
from datetime import datetime

import attrs


class JobState(enum.StrEnum):
    """Where a job, or a rank of it, stands on its engine."""

    PENDING = "pending"  # accepted; no user code has run
    HELD = "held"  # all ranks are placed and wait for ``release``
    RUNNING = "running"
    SUCCEEDED = "succeeded"  # ended, with exit code 0 from every rank
    FAILED = "failed"
    CANCELLED = "cancelled"  # ended, and the engine itself says that it was cancelled

    @property
    def ended(self) -> bool:
        """True once the state cannot change any more."""
        return self in _ENDED


_ENDED = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED})


class FailureClass(enum.StrEnum):
    """Why a process did not succeed. Each has a hint for its user and says whether another launch may help."""

    USER_EXIT = "user_exit"
    OOM = "oom"
    WALLTIME = "walltime"
    CANCELLED = "cancelled"
    IMAGE_NOT_FOUND = "image_not_found"
    IMAGE_AUTH = "image_auth"
    IMAGE_TRANSIENT = "image_transient"
    INVALID_SPEC = "invalid_spec"
    UNSCHEDULABLE = "unschedulable"
    QUOTA = "quota"
    EVICTED = "evicted"
    PREEMPTED = "preempted"
    NODE_LOST = "node_lost"
    NEVER_STARTED = "never_started"
    STAGING_IN = "staging_in"
    STAGING_OUT = "staging_out"
    DISK_FULL = "disk_full"
    ENGINE_UNAVAILABLE = "engine_unavailable"
    VANISHED = "vanished"
    LEASE_EXPIRED = "lease_expired"
    EXECUTOR_INTERNAL = "executor_internal"
    UNKNOWN = "unknown"

    @property
    def retryable(self) -> bool:
        """True where the same job may succeed on another launch, because no user code is to blame."""
        return self in _RETRYABLE

    @property
    def hint(self) -> str:
        """One sentence that tells the user what to do."""
        return _HINTS[self]


_RETRYABLE = frozenset(
    {
        FailureClass.IMAGE_TRANSIENT,
        FailureClass.EVICTED,
        FailureClass.PREEMPTED,
        FailureClass.NODE_LOST,
        FailureClass.NEVER_STARTED,
        FailureClass.ENGINE_UNAVAILABLE,
    },
)

_HINTS = {
    FailureClass.USER_EXIT: "the program ended with an error of its own; its log says why",
    FailureClass.OOM: "the program used more memory than conditions.mem allows; ask for more",
    FailureClass.WALLTIME: "the program ran longer than conditions.walltime; ask for more time or save checkpoints on TERM",
    FailureClass.CANCELLED: "somebody cancelled the process",
    FailureClass.IMAGE_NOT_FOUND: "the registry has no such image or tag; check kwargs.docker-image",
    FailureClass.IMAGE_AUTH: "the registry refused the login; ask the site to add a login for it",
    FailureClass.IMAGE_TRANSIENT: "the registry did not answer or asked to wait; submit again later",
    FailureClass.INVALID_SPEC: "the spec cannot run as it is written; the message names the place",
    FailureClass.UNSCHEDULABLE: "no node of this site has what the spec asks for; ask for less or name another executor",
    FailureClass.QUOTA: "the site's quota is used up; wait, or ask the site",
    FailureClass.EVICTED: "the node needed its resources and put the job out; it may be submitted again",
    FailureClass.PREEMPTED: "a job of higher priority took the place; it may be submitted again",
    FailureClass.NODE_LOST: "the node stopped answering; it may be submitted again",
    FailureClass.NEVER_STARTED: "the engine accepted the job but no user code ran; it may be submitted again",
    FailureClass.STAGING_IN: "the files that the spec names could not be brought in; check fs and the file store",
    FailureClass.STAGING_OUT: "the results could not be uploaded; they are kept where the message says",
    FailureClass.DISK_FULL: "a disk of the site is full; ask the site",
    FailureClass.ENGINE_UNAVAILABLE: "the container engine does not answer; ask the site",
    FailureClass.VANISHED: "the job disappeared from the engine without an end; somebody may have removed it there",
    FailureClass.LEASE_EXPIRED: "the process did not end within maxexectime; ask for more",
    FailureClass.EXECUTOR_INTERNAL: "a fault of this executor; its own log has the details",
    FailureClass.UNKNOWN: "the engine gave no reason",
}


@attrs.frozen
class RankStatus:
    """What an engine knows of one rank.

    Attributes:
        rank: 0 to ranks - 1.
        state: Where it stands. SUCCEEDED only with exit code 0.
        exit_code: 0 to 255 once it ended, 128 + n for signal n; None while it runs or where nobody knows.
        signal: The signal that ended it, where the engine can tell.
        node: Where it ran.
        image_id: Digest or id of the image that really ran.
        started: When its program started.
        ended: When its program ended.
        failure: The class that the engine's own words prove (``oom``, ``evicted``, ...), if any.
        reason: The engine's own words about it.
        output: What it wrote to ``$COLONIES_OUTPUT``, at most :data:`OUTPUT_LIMIT` bytes plus one to show an excess.
    """

    rank: int
    state: JobState
    exit_code: int | None = None
    signal: int | None = None
    node: str = ""
    image_id: str = ""
    started: datetime | None = None
    ended: datetime | None = None
    failure: FailureClass | None = None
    reason: str = ""
    output: str | None = None


@attrs.frozen
class JobStatus:
    """What an engine knows of a job, as evidence for a verdict.

    Attributes:
        state: Where the job as a whole stands. SUCCEEDED needs a terminal state and exit code 0 from every rank.
        ranks: One for each rank that the engine knows of, in order of rank.
        failure: The class that the engine's own words prove for the job as a whole, if any.
        reason: The engine's own words: why it waits, why it failed.
        native_id: The engine's own id.
    """

    state: JobState
    ranks: tuple[RankStatus, ...] = ()
    failure: FailureClass | None = None
    reason: str = ""
    native_id: str = ""

    @property
    def failed_rank(self) -> RankStatus | None:
        """The rank that failed first, by end time and then by number, or None."""
        failed = [rank for rank in self.ranks if rank.state is JobState.FAILED]
        return min(failed, key=_end_order) if failed else None


def _end_order(rank: RankStatus) -> tuple[float, int]:
    return (rank.ended.timestamp() if rank.ended else float("inf"), rank.rank)


def job_state(ranks: Sequence[RankStatus], expected: int) -> JobState:
    """Return the state of a job from those of its ranks: ended only when all *expected* ranks are."""
    states = [rank.state for rank in ranks]
    if len(states) == expected and all(state.ended for state in states):
        for worst in (JobState.FAILED, JobState.CANCELLED):
            if worst in states:
                return worst
        return JobState.SUCCEEDED
    if all(state is JobState.HELD for state in states) and len(states) == expected:
        return JobState.HELD
    started = any(state is JobState.RUNNING or state.ended for state in states)
    return JobState.RUNNING if started else JobState.PENDING


def exit_signal(exit_code: int | None) -> int | None:
    """Return the signal that an exit code above 128 stands for, or None where no signal has that number."""
    if exit_code is None or exit_code <= 128:
        return None
    number = exit_code - 128
    return number if number in signals.valid_signals() else None
