"""Who may ask: each role is a check that a handler names and that runs before it."""

import sqlite3
from collections.abc import Callable
from typing import Any

from container_executor.server.call import Call, Role
from container_executor.server.process import find
from container_executor.server.refusal import Refused

APPROVED = 1
"""The state of an executor that may work."""

Colony = Callable[[dict[str, Any]], str]


def _colony_name(message: dict[str, Any]) -> str:
    name: str = message["colonyname"]
    return name


def anybody(_call: Call) -> None:
    """Let everybody in."""


def server_owner(call: Call) -> None:
    """Let in the key that owns the server."""
    if call.caller != call.db.execute("SELECT value FROM server WHERE key = 'serverid'").fetchone()[0]:
        raise Refused(403, "Access denied, not server owner")


def colony_owner(colony: Colony = _colony_name) -> Role:
    """Let in the key that owns the colony."""

    def check(call: Call) -> None:
        name = colony(call.message)
        if call.caller != colony_id(call.db, name):
            raise Refused(403, "Access denied, not colony owner")

    return check


def member(colony: Colony = _colony_name) -> Role:
    """Let in users and approved executors of the colony."""
    return lambda call: require_member(call.db, colony(call.message), call.caller)


def registered(colony: Colony = _colony_name) -> Role:
    """Let in users, and executors in any state."""

    def check(call: Call) -> None:
        name = colony(call.message)
        if executor_state(call.db, name, call.caller) is None:
            require_member(call.db, name, call.caller)

    return check


def member_of_process(status: int, unknown: str, id_of: Callable[[dict[str, Any]], str] | None = None) -> Role:
    """Let in members of the process's colony; an unknown process is refused with *status* and *unknown*."""

    def check(call: Call) -> None:
        processid = id_of(call.message) if id_of else call.message["processid"]
        call.subject = find(call.db, processid)
        if call.subject is None:
            raise Refused(status, unknown)
        require_member(call.db, call.subject.colony, call.caller)

    return check


def colony_id(db: sqlite3.Connection, name: str) -> str:
    """Return the id of a colony's owner."""
    row = db.execute("SELECT colonyid FROM colonies WHERE name = ?", (name,)).fetchone()
    if row is None:
        raise Refused(403, f"Colony with name <{name}> does not exists")
    found: str = row[0]
    return found


def executor_state(db: sqlite3.Connection, colony: str, executorid: str) -> int | None:
    """Return the state of the executor with this key."""
    row = db.execute("SELECT state FROM executors WHERE colony = ? AND executorid = ?", (colony, executorid)).fetchone()
    return row[0] if row else None


def require_member(db: sqlite3.Connection, colony: str, caller: str) -> None:
    """Refuse a key that is neither a user nor an approved executor of the colony."""
    query = (
        "SELECT 1 FROM users WHERE colony = ? AND userid = ? "
        "UNION ALL SELECT 1 FROM executors WHERE colony = ? AND executorid = ? AND state = ?"
    )
    if db.execute(query, (colony, caller, colony, caller, APPROVED)).fetchone() is None:
        colony_id(db, colony)
        raise Refused(403, f"Access denied, not a member of Colony with name <{colony}>")


def executor_name(db: sqlite3.Connection, colony: str, executorid: str) -> str | None:
    """Return the name of the executor with this key."""
    row = db.execute("SELECT name FROM executors WHERE colony = ? AND executorid = ?", (colony, executorid)).fetchone()
    return row[0] if row else None


def initiator_name(db: sqlite3.Connection, colony: str, caller: str) -> str:
    """Return the name under which a member submits."""
    name = executor_name(db, colony, caller)
    if name is None:
        row = db.execute("SELECT name FROM users WHERE colony = ? AND userid = ?", (colony, caller)).fetchone()
        name = row[0] if row else ""
    return name
