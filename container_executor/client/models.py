"""The values that a Colonies server answers with. All are frozen; times are aware UTC datetimes, None where not set."""

import enum
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs


class ProcessState(enum.IntEnum):
    """Where a process, or a graph of processes, stands."""

    WAITING = 0
    RUNNING = 1
    SUCCESS = 2
    FAILED = 3
    CANCELLED = 4

    @property
    def ended(self) -> bool:
        """True for the states that the server itself never leaves again."""
        return self > ProcessState.RUNNING


class ExecutorState(enum.IntEnum):
    """Where an executor stands. Only an approved one may assign."""

    PENDING = 0
    APPROVED = 1
    REJECTED = 2
    UNREGISTERED = 3


@attrs.frozen
class Attribute:
    """A key and a value attached to a process; written once.

    Attributes:
        id: The server's id.
        process_id: The process it belongs to.
        kind: 0 in, 1 out, 2 err, 3 a variable of the spec's env.
        key: The key, unique per process and kind.
        value: The value.
    """

    id: str
    process_id: str
    kind: int
    key: str
    value: str


@attrs.frozen
class Process:
    """A process as the server sees it.

    Attributes:
        id: 64 hex digits.
        state: Where it stands.
        spec: The function spec as the server returns it.
        colony: The colony it was submitted to.
        executor_id: Id of the executor that has it, or had it last; "" for none.
        initiator: Name of who submitted it; may be "".
        initiator_id: Id of who submitted it.
        attempt: How often the server has taken it back and queued it again.
        submitted: When it was submitted.
        started: When it was assigned.
        ended: When it ended, or was taken back last.
        wait_deadline: When it fails for want of an executor.
        exec_deadline: When the server takes it back. A server in exclusive mode leaves it out of the answer to an assign call.
        attributes: What was attached to it.
        input: For a child in a graph, the outputs of its parents, one list after the other.
        output: What it was closed with, or was set before.
        errors: Why it failed.
        wait_for_parents: It waits for its parents in a graph.
        parents: Ids of the processes it depends on.
        children: Ids of those that depend on it.
        graph_id: Its graph; "" for none.
    """

    id: str
    state: ProcessState
    spec: dict[str, Any]
    colony: str
    executor_id: str = ""
    initiator: str = ""
    initiator_id: str = ""
    attempt: int = 0
    submitted: datetime | None = None
    started: datetime | None = None
    ended: datetime | None = None
    wait_deadline: datetime | None = None
    exec_deadline: datetime | None = None
    attributes: tuple[Attribute, ...] = ()
    input: list[Any] = attrs.Factory(list)
    output: list[Any] = attrs.Factory(list)
    errors: tuple[str, ...] = ()
    wait_for_parents: bool = False
    parents: tuple[str, ...] = ()
    children: tuple[str, ...] = ()
    graph_id: str = ""


@attrs.frozen
class ProcessGraph:
    """A workflow: processes that depend on each other.

    Attributes:
        id: 64 hex digits.
        state: Where it stands as a whole.
        colony: The colony it was submitted to.
        initiator: Name of who submitted it; may be "".
        root_ids: Processes without parents.
        process_ids: All processes.
        submitted: When it was submitted.
        started: When its first process was assigned.
        ended: When it ended.
    """

    id: str
    state: ProcessState
    colony: str
    initiator: str
    root_ids: tuple[str, ...]
    process_ids: tuple[str, ...]
    submitted: datetime | None = None
    started: datetime | None = None
    ended: datetime | None = None


@attrs.frozen
class LogEntry:
    """One message of a log, as it was added: any number of lines, or a piece of one.

    Attributes:
        process_id: Whose it is; "" for a line of the executor itself.
        executor: Name of the executor that added it.
        message: The text.
        timestamp: Nanoseconds since 1970 on the server's clock; where the next question goes on.
    """

    process_id: str
    executor: str
    message: str
    timestamp: int

    @property
    def time(self) -> datetime:
        """When the server took it, to the microsecond."""
        return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=self.timestamp // 1000)


@attrs.frozen
class Executor:
    """An executor of a colony.

    Attributes:
        name: Unique in the colony.
        id: Identity of its key.
        type: What processes ask for.
        colony: Its colony.
        state: Where it stands.
        location: Where it says it is; "" for nowhere.
        capabilities: ``hardware`` and ``software``, each a list of mappings; for people, the scheduler never reads them.
        allocations: What projects may use of it; for people.
        added: When it was added.
        last_heard: When it last asked for work; None for never.
    """

    name: str
    id: str
    type: str
    colony: str
    state: ExecutorState = ExecutorState.PENDING
    location: str = ""
    capabilities: Mapping[str, list[dict[str, Any]]] = attrs.Factory(dict)
    allocations: Mapping[str, Any] = attrs.Factory(dict)
    added: datetime | None = None
    last_heard: datetime | None = None


@attrs.frozen
class Function:
    """A function that an executor says it serves, with what the server counted.

    Attributes:
        id: The server's id.
        name: The function's name.
        executor: Name of the executor that registered it.
        executor_type: That executor's type.
        description: Words for people.
        calls: How many processes of it have ended.
        mean_wait: Seconds that they waited, on average.
        mean_run: Seconds that they ran, on average.
    """

    id: str
    name: str
    executor: str
    executor_type: str
    description: str = ""
    calls: int = 0
    mean_wait: float = 0.0
    mean_run: float = 0.0


@attrs.frozen
class Colony:
    """A colony and the identity of its owner's key."""

    name: str
    owner_id: str


@attrs.frozen
class User:
    """A member of a colony who may submit and read."""

    name: str
    id: str
    email: str = ""
    phone: str = ""


@attrs.frozen
class Statistics:
    """How many of what a colony has. ``executors`` counts the unregistered ones too."""

    executors: int
    active_executors: int
    unregistered_executors: int
    waiting_processes: int
    running_processes: int
    successful_processes: int
    failed_processes: int
    cancelled_processes: int
    waiting_workflows: int
    running_workflows: int
    successful_workflows: int
    failed_workflows: int
    cancelled_workflows: int


@attrs.frozen
class Label:
    """A label of the file system and how many file revisions bear it."""

    name: str
    files: int


@attrs.frozen
class FileEntry:
    """The current revision of a file in a label, as a listing shows it.

    Attributes:
        name: Name within the label.
        checksum: SHA-256 of the content, lowercase hex.
        size: Bytes.
        object: Key of the content in the object store.
    """

    name: str
    checksum: str
    size: int
    object: str


@attrs.frozen
class FileRecord:
    """A revision of a file. The server keeps this record only; the content lies in an object store.

    Attributes:
        label: Where it is, beginning with "/".
        name: Its name within the label.
        size: Bytes.
        checksum: SHA-256 of the content, lowercase hex.
        object: Key of the content in the object store.
        bucket: Bucket of the object.
        server: ``host:port`` of the store that whoever uploaded it used.
        tls: That store speaks https.
        region: That store's region.
        id: The server's id; "" before it is added.
        revision: Grows with every record; the highest of a file is the current one. 0 before it is added.
        added: When the server took it.
    """

    label: str
    name: str
    size: int
    checksum: str
    object: str
    bucket: str = ""
    server: str = ""
    tls: bool = False
    region: str = ""
    id: str = ""
    revision: int = 0
    added: datetime | None = None


@attrs.frozen
class Snapshot:
    """The files of a label and below as they were at one moment; their contents are not copied.

    Attributes:
        id: The server's id.
        name: Unique in the colony.
        label: What it was taken of.
        file_ids: The records it holds.
        added: When it was taken.
    """

    id: str
    name: str
    label: str
    file_ids: tuple[str, ...]
    added: datetime | None = None
