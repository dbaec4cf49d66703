"""What a user asked for, in one form whatever the spelling: the function spec as frozen values.

Sizes are bytes and always whole MiB, rounded up, because that is how a server keeps them. Cpu is millicores.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import attrs

EXECUTE = "execute"
"""The function that runs a container."""

SYNC = "sync"
"""The function that only synchronises directories."""

NO_LIMIT = -1
"""What a time in seconds, or ``maxretries``, is where there is no limit."""


@attrs.frozen
class Gpu:
    """The GPUs of one rank.

    Attributes:
        count: How many.
        name: The kind, as the site calls it; "" for any.
        memory: Bytes each must have at least; 0 for any. For the user's information: no server matches it.
    """

    count: int = 0
    name: str = ""
    memory: int = 0


@attrs.frozen
class Conditions:
    """Who may run the process, and what it needs.

    Attributes:
        colony: The colony; "" where whoever submits fills it in.
        executor_type: The type that an executor must have, compared exactly.
        executor_names: The executors that may run it; empty for all of the type.
        nodes: Number of nodes.
        processes_per_node: Ranks on each node.
        processes: What the user wrote as the total; 0 for nothing. Only the server's matching reads it.
        cpu: Millicores of one rank; 0 asks for no limit.
        memory: Bytes of one rank; 0 asks for no limit.
        storage: Bytes of disk; 0 for nothing said.
        gpu: The GPUs of one rank.
        walltime: How long the program may run; None where the user said nothing.
        location: Where the executor must be; "" for anywhere.
        dependencies: ``nodename`` of each parent in a workflow.
    """

    colony: str = ""
    executor_type: str = ""
    executor_names: tuple[str, ...] = ()
    nodes: int = 1
    processes_per_node: int = 1
    processes: int = 0
    cpu: int = 0
    memory: int = 0
    storage: int = 0
    gpu: Gpu = Gpu()
    walltime: timedelta | None = None
    location: str = ""
    dependencies: tuple[str, ...] = ()

    @property
    def ranks(self) -> int:
        """How many copies of the program run: nodes times processes per node."""
        return self.nodes * self.processes_per_node


@attrs.frozen
class DirSync:
    """A directory that is filled from a label before the job and written back to it afterwards.

    Attributes:
        label: The label in the file store.
        dir: Path below ``Filesystem.mount``.
        keepfiles: The directory stays on the site after the job.
        keeplocal_on_start: Before the job, a file that differs is uploaded; otherwise it is replaced by the stored one.
        keeplocal_on_close: After the job, a file that differs is uploaded; otherwise it is replaced by the stored one.
    """

    label: str
    dir: str
    keepfiles: bool = False
    keeplocal_on_start: bool = False
    keeplocal_on_close: bool = False


@attrs.frozen
class SnapshotMount:
    """A directory that is filled from a snapshot before the job.

    Attributes:
        snapshot_id: The server's id of the snapshot.
        label: The label that the snapshot was made of.
        dir: Path below ``Filesystem.mount``.
        keepfiles: The directory stays on the site after the job.
        keepsnapshot: The snapshot stays on the server after the job.
    """

    snapshot_id: str
    label: str
    dir: str
    keepfiles: bool = False
    keepsnapshot: bool = False


@attrs.frozen
class Filesystem:
    """The directories that the job sees, each at ``mount`` + ``dir``."""

    mount: str
    dirs: tuple[DirSync, ...] = ()
    snapshots: tuple[SnapshotMount, ...] = ()


@attrs.frozen
class FunctionSpec:
    """A function spec, normalised.

    ``image``, ``cmd``, ``args``, ``init_cmd`` and ``rebuild_image`` are the kwargs of ``execute``; those of any other function
    all stay in ``kwargs``.

    Attributes:
        funcname: The function to call.
        conditions: Who may run it, and what it needs.
        image: Reference of the image.
        cmd: Program, or shell line; see :mod:`container_executor.funcspec.job`.
        args: Arguments, as texts.
        init_cmd: Shell line that runs first; "" for none.
        rebuild_image: Get the image anew even where it is there already.
        env: The user's variables.
        fs: Directories to synchronise, or None.
        maxwaittime: Seconds that the process may wait for an executor; -1 for no limit.
        maxexectime: Seconds from assignment until the server takes the process back; -1 for no limit. 0 only in what a server
            sent: it takes the process back at once.
        maxretries: How often the server gives it away again after maxexectime; -1 for no limit.
        priority: One step counts like a day of waiting.
        label: Free text, for lists.
        nodename: Name within a workflow.
        channels: Names of the channels to open with the process.
        positional: Arguments of functions other than ``execute``, any JSON.
        kwargs: All other keyword arguments, any JSON.
    """

    funcname: str
    conditions: Conditions = Conditions()
    image: str = ""
    cmd: str = ""
    args: tuple[str, ...] = ()
    init_cmd: str = ""
    rebuild_image: bool = False
    env: Mapping[str, str] = attrs.field(factory=dict)
    fs: Filesystem | None = None
    maxwaittime: int = NO_LIMIT
    maxexectime: int = NO_LIMIT
    maxretries: int = 0
    priority: int = 0
    label: str = ""
    nodename: str = ""
    channels: tuple[str, ...] = ()
    positional: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = attrs.field(factory=dict)

    @property
    def walltime(self) -> timedelta | None:
        """How long the program may run: what the user said, else ``maxexectime``, else None."""
        if self.conditions.walltime is not None or self.maxexectime <= 0:
            return self.conditions.walltime
        return timedelta(seconds=self.maxexectime)
