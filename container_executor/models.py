"""The values that all parts share: what is to run, what was asked of an engine, what became of it.

All are frozen. Times are aware UTC datetimes, durations timedeltas, sizes bytes, cpu millicores.
"""

import enum
import json
import secrets
import signal as signals
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Self

import attrs

OWNER_HEX = 8
PROCESS_HEX = 16


# --- identity ---------------------------------------------------------------------------------------------------------


@attrs.frozen
class Mark:
    """Who a job belongs to. It is written on every object that a job has on an engine.

    Attributes:
        owner: Random id of the daemon's state directory, lowercase hex of at least eight digits; never the executor's name.
        colony: The colony that the process belongs to.
        process_id: The server's id of the process, 64 hex digits (a library job makes its own).
        attempt: The server's ``retries`` when the process was assigned.
        launch: Our own count of tries to run that attempt, from 1.
    """

    owner: str
    colony: str
    process_id: str
    attempt: int = 0
    launch: int = 1

    @classmethod
    def new(cls) -> Self:
        """Make a mark for a job that no server knows: random owner and process id, no colony."""
        return cls(owner=secrets.token_hex(8), colony="", process_id=secrets.token_hex(32))

    @property
    def job_id(self) -> str:
        """The job's name on every engine: a DNS-1123 label of at most 44 characters."""
        return f"ce-{self.owner[:OWNER_HEX]}-{self.process_id[:PROCESS_HEX]}-{self.attempt}-{self.launch}"

    def to_dict(self) -> dict[str, str]:
        """Return the mark as texts, for labels, annotations and comments."""
        return {name: str(value) for name, value in attrs.asdict(self).items()}

    @classmethod
    def from_dict(cls, fields: Mapping[str, str]) -> Self:
        """Read back what :meth:`to_dict` wrote.

        Raises:
            ValueError: A field is missing or is no number where one is needed: the object is not ours.
        """
        try:
            return cls(
                owner=fields["owner"],
                colony=fields["colony"],
                process_id=fields["process_id"],
                attempt=int(fields["attempt"]),
                launch=int(fields["launch"]),
            )
        except KeyError as error:
            raise ValueError(f"no mark of a job: {error.args[0]} is missing") from None


# --- what is to run ---------------------------------------------------------------------------------------------------


@attrs.frozen
class Mount:
    """A directory that the job sees.

    Attributes:
        source: Absolute path of the directory as the daemon sees it.
        target: Absolute path at which the job sees it.
        read_only: The job cannot write into it.
    """

    source: str
    target: str
    read_only: bool = False


@attrs.frozen
class JobSpec:
    """One launch of a process, all its ranks, independent of any engine.

    Attributes:
        image: Image reference as the user wrote it, or pinned by :meth:`Backend.prepare`.
        argv: Program and arguments of every rank. A shell line arrives here as ``sh -c LINE sh ARGS...``.
        env: The user's variables. :func:`rank_env` adds ours.
        nodes: Number of nodes.
        processes_per_node: Ranks on each node.
        cpu: Millicores of one rank; 0 asks for no limit.
        memory: Bytes of one rank; 0 asks for no limit.
        gpus: GPUs of one rank.
        gpu_name: The kind of GPU, as the site calls it; "" for any.
        walltime: How long the program may run, None for no limit of its own.
        grace: Time between TERM and KILL.
        mounts: Directories that the job sees, parents before children.
        input: JSON text that the job finds in the file ``$COLONIES_INPUT``; "" for none.
        pull: Get the image anew even where it is there already.
        mark: Identity; :attr:`job_id` follows from it. A job of the library that is given none gets one of its own.
    """

    image: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = attrs.field(factory=dict)
    nodes: int = 1
    processes_per_node: int = 1
    cpu: int = 0
    memory: int = 0
    gpus: int = 0
    gpu_name: str = ""
    walltime: timedelta | None = None
    grace: timedelta = timedelta(seconds=10)
    mounts: tuple[Mount, ...] = ()
    input: str = ""
    pull: bool = False
    mark: Mark = attrs.field(factory=Mark.new, kw_only=True)

    @property
    def job_id(self) -> str:
        """The job's name on every engine."""
        return self.mark.job_id

    @property
    def ranks(self) -> int:
        """Number of ranks: nodes times processes per node."""
        return self.nodes * self.processes_per_node


OUTPUT_LIMIT = 4096
"""Bytes of ``$COLONIES_OUTPUT``: what a Kubernetes termination message holds (kubernetes.io, Pod failure)."""

MASTER_PORT = 29500
"""Port that ranks may meet on at ``$MASTER_ADDR``: the default of PyTorch's launcher. Where jobs share a machine's network, a
backend gives each another one."""


def rank_env(job: JobSpec, rank: int, *, master: str = "127.0.0.1") -> dict[str, str]:
    """Return the variables of one rank: the user's, then ours, which win.

    Ranks are counted node by node: node 0 holds ranks 0 to ``processes_per_node - 1``.

    Args:
        job: The job.
        rank: 0 to ``job.ranks - 1``.
        master: Name or address at which the other ranks reach rank 0.
    """
    node, local = divmod(rank, job.processes_per_node)
    return {
        **job.env,
        "RANK": str(rank),
        "WORLD_SIZE": str(job.ranks),
        "LOCAL_RANK": str(local),
        "NODE_RANK": str(node),
        "MASTER_ADDR": master,
        "MASTER_PORT": str(MASTER_PORT),
        "COLONIES_PROCESS_ID": job.mark.process_id,
    }


# --- what is asked of an engine ---------------------------------------------------------------------------------------


@attrs.frozen
class Plan:
    """An engine's request as data: pure, readable, the same for equal jobs.

    Attributes:
        job: What it was made from.
        request: What will be sent: a mapping that is JSON throughout, in a form the backend's own ``submit`` reads.
        text: How a person reads it (a manifest, a script); "" shows the request as JSON.
    """

    job: JobSpec
    request: Mapping[str, Any]
    text: str = ""

    @property
    def job_id(self) -> str:
        """The job's name on every engine."""
        return self.job.job_id

    def render(self) -> str:
        """Return the request as a person reads it, ending in a newline."""
        text = self.text or json.dumps(self.request, indent=2, ensure_ascii=False)
        return text if text.endswith("\n") else text + "\n"


@attrs.frozen
class Handle:
    """A job on an engine: all that a later run of the daemon needs to ask for it.

    Attributes:
        job_id: The job's name; the same on every engine.
        native_id: The engine's own id, for people and for look-ups.
        ranks: Number of ranks.
    """

    job_id: str
    native_id: str
    ranks: int = 1


@attrs.frozen
class Found:
    """A job that an engine listed, with the mark it bears."""

    handle: Handle
    mark: Mark


# --- what became of it ------------------------------------------------------------------------------------------------


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


# --- logs -------------------------------------------------------------------------------------------------------------


@attrs.frozen
class LogLine:
    """A line of output, or a piece of one.

    Attributes:
        rank: Whose it is.
        stream: ``out``, ``err``, or None where the engine does not tell them apart.
        data: The bytes without the newline.
        complete: A newline followed; False where the line goes on in the rank's next piece, or was the last without one.
    """

    rank: int
    stream: str | None
    data: bytes
    complete: bool = True


@attrs.frozen
class Gap:
    """Output that the engine itself lost before it could be read.

    Attributes:
        rank: Whose it was.
        before: Index into :attr:`LogChunk.lines` of the first line after the gap.
        missing: How many bytes, where the engine can tell.
        reason: Why, in a few words.
    """

    rank: int
    before: int
    missing: int | None = None
    reason: str = ""


@attrs.frozen
class LogChunk:
    """Output after a cursor.

    Attributes:
        lines: In order of arrival within each rank.
        cursor: Where the next call goes on; text that survives a restart of the daemon.
        end: Nothing more can come.
        gaps: Where the engine lost something.
    """

    lines: tuple[LogLine, ...] = ()
    cursor: str = ""
    end: bool = False
    gaps: tuple[Gap, ...] = ()


# --- the engine itself ------------------------------------------------------------------------------------------------


@attrs.frozen
class Progress:
    """A step of preparing an image: words for the log, and how far it is where that is known (bytes)."""

    text: str
    done: int = 0
    total: int = 0


@attrs.frozen
class Capacity:
    """What is free on an engine now: millicores, bytes, whole GPUs. None where the engine sets no bound."""

    cpu: int | None = None
    memory: int | None = None
    gpus: int | None = None


@attrs.frozen
class Fault:
    """One thing wrong with an engine or a site, and how to mend it."""

    what: str
    fix: str


@attrs.frozen
class Health:
    """How an engine is.

    Attributes:
        reachable: It answers.
        version: What it says it is.
        faults: What is wrong with it, each with its fix.
    """

    reachable: bool
    version: str = ""
    faults: tuple[Fault, ...] = ()
