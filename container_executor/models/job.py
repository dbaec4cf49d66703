"""What is to run: a job, whose it is, and what is asked of an engine for it."""

import json
import secrets
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Self

import attrs

OWNER_HEX = 8
PROCESS_HEX = 16


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
