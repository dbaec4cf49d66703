"""What every process of one daemon shares: the server, the engine, the journal, the bounds."""

from collections.abc import Callable

import anyio
import anyio.abc
import attrs

from container_executor.client import Client
from container_executor.execute.capacity import Ledger
from container_executor.execute.engine import Engine
from container_executor.execute.journal import Journal
from container_executor.execute.metrics import Metrics
from container_executor.execute.monitor import Monitor
from container_executor.execute.staging.shared import Staging
from container_executor.funcspec import Limits

LOG_SENDERS = 4
"""Log entries under way at once: half of the calls that the client makes at once, so that logs never hold up a close."""


def _senders() -> anyio.CapacityLimiter:
    return anyio.CapacityLimiter(LOG_SENDERS)


@attrs.frozen
class Policy:
    """What the site decided about processes.

    Attributes:
        limits: What a spec may ask for.
        launches: How often one attempt is launched when the engine, not the job, failed.
        admission: Seconds that a claimed process may wait for room.
        pending: Seconds that the engine may take to start a job.
        log_cap: Characters of output that one process may send.
    """

    limits: Limits
    launches: int = 3
    admission: float = 600.0
    pending: float = 3600.0
    log_cap: int = 64 * 2**20


@attrs.define(eq=False)
class Site:
    """One daemon's share of the world.

    Attributes:
        owner: Marks our objects on the engine.
        name: The executor's name on the server.
        client: The server, signed as the executor.
        engine: The backend.
        monitor: Asks the engine about live jobs.
        journal: What was begun.
        ledger: What is promised to whom.
        policy: What the site decided.
        metrics: What is counted.
        staging: The directories that jobs see.
        tasks: Where tasks of processes run.
        check_leases: Makes the daemon ask the server at once which processes are still ours.
        senders: Bounds the log entries under way.
        looked: When the engine was last asked what is free, on the boot clock.
    """

    owner: str
    name: str
    client: Client
    engine: Engine
    monitor: Monitor
    journal: Journal
    ledger: Ledger
    policy: Policy
    metrics: Metrics
    staging: Staging
    tasks: anyio.abc.TaskGroup
    check_leases: Callable[[], None]
    senders: anyio.CapacityLimiter = attrs.field(factory=_senders)
    looked: float = 0.0
