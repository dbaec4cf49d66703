"""The states of a process: every change of state goes through here, and is announced."""

import sqlite3
from typing import Any

import attrs

from container_executor.server.call import Call, Entered
from container_executor.server.fields import dump
from container_executor.server.process import Process, State, render, select
from container_executor.server.refusal import Refused
from container_executor.server.stamps import after

_NAMES = {State.SUCCESS: "successful", State.FAILED: "failed", State.CANCELLED: "cancelled"}

EXPIRED = "Maximum execution time limit exceeded"
WAITED = "Maximum waiting time limit exceeded"


def announce(call: Call, process: Process) -> None:
    """Tell pollers and subscribers, after the commit, that the process is in its state now."""
    text = render(call.db, process) if call.watch.wants(process) else None
    call.effects.append(Entered(process, text))


def change(db: sqlite3.Connection, process: Process, **changes: Any) -> Process:
    """Store new values of some columns and return the process as it is then."""
    columns = ", ".join(f"{name} = ?" for name in changes)
    db.execute(f"UPDATE processes SET {columns} WHERE processid = ?", (*changes.values(), process.processid))  # noqa: S608
    return attrs.evolve(process, **changes)


def enter(call: Call, process: Process, state: State, **changes: Any) -> Process:
    """Bring a process, and its attributes, into a state."""
    call.db.execute("UPDATE attributes SET state = ? WHERE targetid = ?", (int(state), process.processid))
    entered = change(call.db, process, state=int(state), **changes)
    announce(call, entered)
    return entered


def assign(call: Call, process: Process, executorid: str) -> Process:
    """Give a waiting process to an executor."""
    limit = process.maxexectime
    deadline = after(call.now, limit) if limit > 0 else process.execdeadline
    return enter(
        call,
        process,
        State.RUNNING,
        assigned=executorid,
        started=call.now,
        execdeadline=deadline,
        due=due_time(limit, deadline),
    )


def due_time(limit: int, deadline: int) -> int | None:
    """Return when an attempt must have ended: -1 means never, 0 and anything below -1 at once."""
    if limit == -1:
        return None
    return deadline if limit > 0 else 0


def requeue_expired(call: Call, process: Process) -> Process:
    """Take a process back whose attempt took too long, and count the attempt."""
    wait = after(call.now, process.maxwaittime) if process.maxwaittime > 0 else process.waitdeadline
    return enter(
        call,
        process,
        State.WAITING,
        assigned="",
        ended=call.now,
        retries=process.retries + 1,
        waitdeadline=wait,
    )


def requeue_orphans(call: Call, colony: str, executorid: str) -> None:
    """Take back what an executor runs that is no longer registered; no attempt is counted."""
    for process in select(call.db, "WHERE state = 1 AND assigned = ? AND colony = ?", executorid, colony):
        enter(call, process, State.WAITING, assigned="", started=0, ended=0)


def succeed(call: Call, process: Process, output: list[Any] | None) -> Process:
    """End a process well; without output, what was set before stays."""
    if process.state in (State.FAILED, State.CANCELLED):
        raise Refused(400, f"Tried to set {_NAMES[State(process.state)]} process as successful")
    changes = {"output": dump(output)} if output else {}
    return enter(call, process, State.SUCCESS, ended=call.now, **changes)


def fail(call: Call, process: Process, errors: list[str] | None) -> Process:
    """End a process badly; it is not tried again."""
    if process.state in _NAMES:
        raise Refused(400, f"Tried to set {_NAMES[State(process.state)]} process as failed")
    return enter(call, process, State.FAILED, ended=call.now, errors=dump(errors))


def cancel(call: Call, process: Process) -> Process:
    """End a process because somebody wants so."""
    if process.state == State.CANCELLED:
        raise Refused(400, "Tried to cancel already cancelled process")
    if process.state in _NAMES:
        raise Refused(400, f"Tried to cancel {_NAMES[State(process.state)]} process")
    return enter(call, process, State.CANCELLED, ended=call.now)
