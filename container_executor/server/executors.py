"""Executors: adding, approving, removing, and what they tell of themselves."""

import sqlite3
from typing import Any

import attrs

from container_executor.server.call import EMPTY, Call, Handler
from container_executor.server.fields import boolean, dump, integer, list_of, map_of, needed, struct, text
from container_executor.server.lifecycle import requeue_orphans
from container_executor.server.refusal import Refused
from container_executor.server.roles import (
    APPROVED,
    colony_owner,
    member,
    registered,
)
from container_executor.server.stamps import SECOND, rfc3339
from container_executor.server.statistics import UNREGISTERED

PENDING = 0
REJECTED = 2

_GPU = struct(name=text, mem=text, count=integer, nodecount=integer)
_HARDWARE = struct(
    model=text, nodes=integer, cpu=text, cores=integer, mem=text, storage=text, gpu=_GPU, platform=text,
    architecture=text, network=list_of(text),
)  # fmt: skip
_CAPABILITIES = struct(hardware=list_of(_HARDWARE), software=list_of(struct(name=text, type=text, version=text)))
_PROJECT = struct(
    allocatedcpu=integer, usedcpu=integer, allocatedgpu=integer, usedgpu=integer, allocatedstorage=integer,
    usedstorage=integer,
)  # fmt: skip
_ALLOCATIONS = struct(projects=map_of(_PROJECT))
_EXECUTOR = struct(
    executorid=text, executortype=text, executorname=text, colonyname=text, requirefuncreg=boolean, locationname=text,
    capabilities=_CAPABILITIES, allocations=_ALLOCATIONS, blueprintid=text, blueprintgen=integer,
)  # fmt: skip
_NAMED = struct(colonyname=text, executorname=text)

_COLUMNS = (
    "colony, executorid, name, executortype, location, state, requirefuncreg, commissioned, heard, capabilities, "
    "allocations, blueprintid, blueprintgen"
)


@attrs.frozen
class Executor:
    """One row of ``executors``. Times are nanoseconds, 0 for never; capabilities and allocations are JSON text."""

    colony: str
    executorid: str
    name: str
    executortype: str
    location: str
    state: int
    requirefuncreg: int
    commissioned: int
    heard: int
    capabilities: str
    allocations: str
    blueprintid: str
    blueprintgen: int

    def json(self) -> str:
        """Return the JSON of a reply; an empty location and blueprint are left out."""
        optional = "".join(
            f',"{name}":{dump(value)}'
            for name, value in (
                ("locationname", self.location),
                ("blueprintid", self.blueprintid),
                ("blueprintgen", self.blueprintgen),
            )
            if value
        )
        return (
            f'{{"executorid":{dump(self.executorid)},"executortype":{dump(self.executortype)},'
            f'"executorname":{dump(self.name)},"colonyname":{dump(self.colony)},"state":{self.state},'
            f'"requirefuncreg":{dump(bool(self.requirefuncreg))},"commissiontime":"{rfc3339(self.commissioned)}",'
            f'"lastheardfromtime":"{rfc3339(self.heard)}","capabilities":{self.capabilities},'
            f'"allocations":{self.allocations}{optional}}}'
        )


def find_executor(db: sqlite3.Connection, colony: str, column: str, value: str) -> Executor | None:
    """Return the executor of a colony whose ``name`` or ``executorid`` is *value*."""
    query = f"SELECT {_COLUMNS} FROM executors WHERE colony = ? AND {column} = ?"  # noqa: S608
    row = db.execute(query, (colony, value)).fetchone()
    return Executor(*row) if row else None


def _of_executor(message: dict[str, Any]) -> str:
    colony: str = message["executor"]["colonyname"]
    return colony


def add(call: Call) -> str:
    """Register an executor, pending. A known name is registered anew: what it runs goes back to the queue."""
    given = call.message["executor"]
    executor = Executor(
        colony=given["colonyname"],
        executorid=given["executorid"],
        name=given["executorname"],
        executortype=given["executortype"],
        location=given["locationname"],
        state=PENDING,
        requirefuncreg=int(given["requirefuncreg"]),
        commissioned=call.now,
        heard=0,
        capabilities=dump(given["capabilities"]),
        allocations=dump(given["allocations"]),
        blueprintid=given["blueprintid"],
        blueprintgen=given["blueprintgen"],
    )
    store(call, executor)
    return executor.json()


def store(call: Call, executor: Executor) -> None:
    """Store an executor under its name; one of that name is unregistered first.

    Raises:
        Refused: The key belongs to an executor with another name. Two names for one key would make each
            other's approval count.
    """
    owner = find_executor(call.db, executor.colony, "executorid", executor.executorid)
    if owner is not None and owner.name != executor.name:
        raise Refused(
            400,
            f"Executor Id <{executor.executorid}> already belongs to executor <{owner.name}> in Colony "
            f"<{executor.colony}>, make a new key for a new name",
        )
    former = find_executor(call.db, executor.colony, "name", executor.name)
    if former is not None:
        unregister(call, former)
        call.db.execute("DELETE FROM executors WHERE colony = ? AND name = ?", (executor.colony, executor.name))
    marks = ", ".join("?" * len(attrs.fields(Executor)))
    call.db.execute(f"INSERT INTO executors ({_COLUMNS}) VALUES ({marks})", attrs.astuple(executor))  # noqa: S608


def unregister(call: Call, executor: Executor) -> None:
    """Take an executor out of service: its functions go, what it runs goes back to the queue, its row stays."""
    _set_state(call, executor, UNREGISTERED)
    call.db.execute("DELETE FROM functions WHERE colony = ? AND executorname = ?", (executor.colony, executor.name))
    requeue_orphans(call, executor.colony, executor.executorid)


def unregister_stale(call: Call, seconds: int) -> int:
    """Unregister who asked for work once but not in the last *seconds*, and return how many that were."""
    rows = call.db.execute(
        f"SELECT {_COLUMNS} FROM executors WHERE heard > 0 AND heard < ? AND state <> ?",  # noqa: S608
        (call.now - seconds * SECOND, UNREGISTERED),
    ).fetchall()
    for row in rows:
        unregister(call, Executor(*row))
    return len(rows)


def _set_state(call: Call, executor: Executor, state: int) -> None:
    call.db.execute(
        "UPDATE executors SET state = ? WHERE colony = ? AND name = ?", (state, executor.colony, executor.name)
    )


def _known(call: Call, what: str) -> Executor:
    executor = find_executor(call.db, call.message["colonyname"], "name", call.message["executorname"])
    if executor is None:
        raise Refused(500, f"Failed to {what}, executor is nil")
    return executor


def approve(call: Call) -> str:
    """Let an executor work, whatever state it is in."""
    _set_state(call, _known(call, "approve executor"), APPROVED)
    return EMPTY


def reject(call: Call) -> str:
    """Keep an executor from working."""
    _set_state(call, _known(call, "reject executor"), REJECTED)
    return EMPTY


def remove(call: Call) -> str:
    """Unregister an executor."""
    unregister(call, _known(call, "remove executor"))
    return EMPTY


def get(call: Call) -> str:
    """Return the executor with a name."""
    return _known(call, "get executor").json()


def get_by_id(call: Call) -> str:
    """Return the executor with a key."""
    executor = find_executor(call.db, call.message["colonyname"], "executorid", call.message["executorid"])
    if executor is None:
        raise Refused(404, "Failed to get executor by ID, executor is nil")
    return executor.json()


def listing(call: Call) -> str:
    """List all executors of a colony, the unregistered too."""
    query = f"SELECT {_COLUMNS} FROM executors WHERE colony = ? ORDER BY commissioned, seq"  # noqa: S608
    rows = call.db.execute(query, (call.message["colonyname"],)).fetchall()
    return f"[{','.join(Executor(*row).json() for row in rows)}]" if rows else "null"


def update(call: Call) -> str:
    """Replace what an executor says it has."""
    return _update_own(call, "capabilities", "Only an executor can update its own capabilities")


def report_allocations(call: Call) -> str:
    """Replace what an executor says is allocated on it."""
    return _update_own(call, "allocations", "Only an executor can report allocations to itself")


def _update_own(call: Call, column: str, denied: str) -> str:
    colony, name = call.message["colonyname"], call.message["executorname"]
    executor = find_executor(call.db, colony, "name", name)
    if executor is None:
        raise Refused(400, f"Executor with name <{name}> does not exist")
    if executor.executorid != call.caller:
        raise Refused(400, denied)
    query = f"UPDATE executors SET {column} = ? WHERE colony = ? AND name = ?"  # noqa: S608
    call.db.execute(query, (dump(call.message[column]), colony, name))
    return EMPTY


HANDLERS = (
    Handler("addexecutormsg", "add executor", struct(executor=needed(_EXECUTOR)), colony_owner(_of_executor), add),
    Handler("approveexecutormsg", "approve executor", _NAMED, colony_owner(), approve),
    Handler("rejectexecutormsg", "reject executor", _NAMED, colony_owner(), reject),
    Handler("removeexecutormsg", "remove executor", _NAMED, colony_owner(), remove),
    Handler("getexecutormsg", "get executor", _NAMED, member(), get),
    Handler("getexecutorbyidmsg", "get executor by ID", struct(colonyname=text, executorid=text), member(), get_by_id),
    Handler("getexecutorsmsg", "get executors", struct(colonyname=text), registered(), listing),
    Handler(
        "updateexecutormsg",
        "update executor",
        struct(colonyname=text, executorname=text, capabilities=_CAPABILITIES),
        registered(),
        update,
    ),
    Handler(
        "reportallocationmsg",
        "report allocation",
        struct(colonyname=text, executorname=text, allocations=_ALLOCATIONS),
        registered(),
        report_allocations,
    ),
)
"""The messages of this module."""
