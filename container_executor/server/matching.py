"""Which waiting process an executor may get: pure rules.

The rules are those of the Colonies server's distributed assignment (``SelectAndAssign`` in
``pkg/database/postgresql/processes.go``): storage, GPUs, wall time, label and function name play no part.
"""

import json
from collections.abc import Iterable

import attrs

from container_executor.server.process import Process, State

MOST = 127
"""A process that asks for more nodes, processes or processes per node than this is never given to anybody."""

UNLIMITED = 2**63 - 1
ANYBODY = "*"


@attrs.frozen
class Offer:
    """An executor that asks for work, and what it has free.

    Attributes:
        cpu: Millicores.
        memory: Bytes.
    """

    colony: str
    executortype: str
    name: str
    location: str
    cpu: int
    memory: int


def fits(process: Process, offer: Offer) -> bool:
    """Whether the process may be given to this executor now."""
    return (
        process.state == State.WAITING
        and not process.waitforparents
        and process.colony == offer.colony
        and process.executortype == offer.executortype
        and process.cpu <= offer.cpu
        and process.memory <= offer.memory
        and max(process.nodes, process.processes, process.processespernode) <= MOST
        and _located(process, offer)
        and _named(process, offer)
    )


def _located(process: Process, offer: Offer) -> bool:
    return not process.location or process.location.lower() == offer.location.lower()


def _named(process: Process, offer: Offer) -> bool:
    if process.executornames in ("null", "[]"):
        return True
    names = json.loads(process.executornames)
    return offer.name in names or ANYBODY in names


def first(waiting: Iterable[Process], offer: Offer) -> Process | None:
    """Return the first process that fits; *waiting* comes in the order of priority and is read no further."""
    return next((process for process in waiting if fits(process, offer)), None)
