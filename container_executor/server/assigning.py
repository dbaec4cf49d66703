"""Giving work to executors: one try within a transaction. Waiting for work is in ``polling``."""

import enum

import attrs

from container_executor.server.call import Call, Handler
from container_executor.server.fields import integer, struct, text
from container_executor.server.lifecycle import assign, change
from container_executor.server.matching import UNLIMITED, Offer, first
from container_executor.server.process import COLUMNS, Process, attributes_json, process_json
from container_executor.server.refusal import Refused
from container_executor.server.roles import member
from container_executor.server.spec import memory_bytes, millicores
from container_executor.server.workflows import parents_output, resolve


class Nothing(enum.Enum):
    """Why a try found no work."""

    IDLE = enum.auto()
    PAUSED = enum.auto()


@attrs.frozen
class Found:
    """A process given to the caller, as JSON."""

    text: str


@attrs.frozen
class Try:
    """What one try gave, and the offer that later work is compared with."""

    result: Found | Nothing
    offer: Offer


def try_assign(call: Call) -> Try:
    """Note that the executor is alive, and give it the first process that fits."""
    if call.message["timeout"] == 0:
        raise Refused(400, "Invalid timeout value, timeout cannot be zero")
    offer = _offer(call)
    call.db.execute(
        "UPDATE executors SET heard = ? WHERE colony = ? AND executorid = ?", (call.now, offer.colony, call.caller)
    )
    if call.db.execute("SELECT paused FROM colonies WHERE name = ?", (offer.colony,)).fetchone()[0]:
        return Try(Nothing.PAUSED, offer)
    process = _choose(call, offer)
    if process is None:
        return Try(Nothing.IDLE, offer)
    return Try(Found(_give(call, process)), offer)


def _offer(call: Call) -> Offer:
    colony = call.message["colonyname"]
    row = call.db.execute(
        "SELECT executortype, name, location FROM executors WHERE colony = ? AND executorid = ?", (colony, call.caller)
    ).fetchone()
    if row is None:
        raise Refused(500, "Failed to assign process, executor not found")
    executortype, name, location = row
    cpu, memory = call.message["availablecpu"], call.message["availablemem"]
    free_cpu = millicores(cpu) if cpu else UNLIMITED
    free_memory = memory_bytes(memory) if memory else UNLIMITED
    return Offer(colony, executortype, name, location, free_cpu, free_memory)


def _choose(call: Call, offer: Offer) -> Process | None:
    # The comparison of sizes only shortens the walk; the rule is in ``matching``.
    rows = call.db.execute(
        f"SELECT {COLUMNS} FROM processes WHERE state = 0 AND colony = ? AND executortype = ? "  # noqa: S608
        "AND cpu <= ? AND memory <= ? AND waitforparents = 0 ORDER BY prioritytime, seq",
        (offer.colony, offer.executortype, offer.cpu, offer.memory),
    )
    return first((Process(*row) for row in rows), offer)


def _give(call: Call, process: Process) -> str:
    if process.graphid and process.parents != "[]":
        process = change(call.db, process, input=parents_output(call.db, process))
    attributes = attributes_json(call.db, process.processid)
    assigned = assign(call, process, call.caller)
    resolve(call, assigned.graphid)
    # As from the Colonies server in its exclusive mode, the reply has the deadline and the attributes of before.
    return process_json(attrs.evolve(assigned, execdeadline=process.execdeadline), attributes)


def _waits(_call: Call) -> str:
    raise AssertionError("assign is answered by the poller")


ASSIGN = Handler(
    "assignprocessmsg",
    "assign process",
    struct(colonyname=text, timeout=integer, availablecpu=text, availablemem=text),
    member(),
    _waits,
)
