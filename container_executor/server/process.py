"""A process as a row of the database and as JSON on the wire."""

import enum
import json
import sqlite3
from collections.abc import Iterable
from typing import Any

import attrs

from container_executor.server.fields import dump
from container_executor.server.stamps import rfc3339


class State(enum.IntEnum):
    """States of processes and of workflows, numbered as on the wire."""

    WAITING = 0
    RUNNING = 1
    SUCCESS = 2
    FAILED = 3
    CANCELLED = 4


ENDED = (State.SUCCESS, State.FAILED, State.CANCELLED)


@attrs.frozen
class Process:
    """One row of ``processes``; the fields are its columns, in order.

    Times are nanoseconds since 1970, 0 where unset. ``parents``, ``children``, ``input``, ``output``, ``errors``,
    ``executornames`` and ``spec`` are JSON text, ready to be sent.

    Attributes:
        due: When the running attempt must have ended: 0 at once, None never.
    """

    processid: str
    colony: str
    executortype: str
    executornames: str
    location: str
    label: str
    funcname: str
    initiatorid: str
    initiatorname: str
    prioritytime: int
    submitted: int
    waitdeadline: int
    maxwaittime: int
    maxexectime: int
    maxretries: int
    waitforparents: int
    parents: str
    children: str
    graphid: str
    cpu: int
    memory: int
    nodes: int
    processes: int
    processespernode: int
    spec: str
    state: int = int(State.WAITING)
    assigned: str = ""
    started: int = 0
    ended: int = 0
    execdeadline: int = 0
    due: int | None = None
    retries: int = 0
    input: str = "[]"
    output: str = "[]"
    errors: str = "[]"

    def parent_ids(self) -> list[str]:
        """Return the ids of the processes that this one waits for."""
        return _ids(self.parents)

    def child_ids(self) -> list[str]:
        """Return the ids of the processes that wait for this one."""
        return _ids(self.children)


def _ids(text: str) -> list[str]:
    found: list[str] = json.loads(text)
    return found


COLUMNS = ", ".join(field.name for field in attrs.fields(Process))
_INSERT = f"INSERT INTO processes ({COLUMNS}) VALUES ({', '.join('?' * len(attrs.fields(Process)))})"  # noqa: S608


def insert(db: sqlite3.Connection, process: Process) -> None:
    """Store a new process."""
    db.execute(_INSERT, attrs.astuple(process))


def select(db: sqlite3.Connection, rest: str, *values: Any) -> list[Process]:
    """Return the processes that ``WHERE ...`` in *rest* finds."""
    return [Process(*row) for row in db.execute(f"SELECT {COLUMNS} FROM processes {rest}", values)]  # noqa: S608


def find(db: sqlite3.Connection, processid: str) -> Process | None:
    """Return the process with this id."""
    row = db.execute(f"SELECT {COLUMNS} FROM processes WHERE processid = ?", (processid,)).fetchone()  # noqa: S608
    return Process(*row) if row else None


def render(db: sqlite3.Connection, process: Process) -> str:
    """Return the JSON of a process as a reply holds it."""
    return process_json(process, attributes_json(db, process.processid))


def render_list(db: sqlite3.Connection, processes: list[Process]) -> str:
    """Return a JSON list of processes; no process is ``null``, as the Colonies server answers."""
    return f"[{','.join(render(db, process) for process in processes)}]" if processes else "null"


def process_json(process: Process, attributes: str) -> str:
    """Put the JSON of a process together from its columns; the spec is not parsed again."""
    isassigned = "true" if process.assigned else "false"
    waits = "true" if process.waitforparents else "false"
    return (
        f'{{"processid":"{process.processid}","initiatorid":"{process.initiatorid}",'
        f'"initiatorname":{dump(process.initiatorname)},"assignedexecutorid":{dump(process.assigned)},'
        f'"isassigned":{isassigned},"state":{process.state},"prioritytime":{process.prioritytime},'
        f'"submissiontime":"{rfc3339(process.submitted)}","starttime":"{rfc3339(process.started)}",'
        f'"endtime":"{rfc3339(process.ended)}","waitdeadline":"{rfc3339(process.waitdeadline)}",'
        f'"execdeadline":"{rfc3339(process.execdeadline)}","retries":{process.retries},'
        f'"attributes":{attributes},"spec":{process.spec},"waitforparents":{waits},'
        f'"parents":{process.parents},"children":{process.children},"processgraphid":"{process.graphid}",'
        f'"in":{process.input},"out":{process.output},"errors":{process.errors}}}'
    )


@attrs.frozen
class Attribute:
    """One row of ``attributes``; the fields are its columns, in order.

    Attributes:
        state: That of the process when it last changed; 0 where the attribute is younger.
        kind: 0 input, 1 output, 2 error, 3 environment.
    """

    attributeid: str
    targetid: str
    colony: str
    graphid: str
    state: int
    kind: int
    key: str
    value: str

    def json(self) -> str:
        """Return the JSON of a reply."""
        return dump(
            {
                "attributeid": self.attributeid,
                "targetid": self.targetid,
                "targetcolonyname": self.colony,
                "targetprocessgraphid": self.graphid,
                "state": self.state,
                "attributetype": self.kind,
                "key": self.key,
                "value": self.value,
            }
        )


_ATTRIBUTE = "attributeid, targetid, colony, graphid, state, kind, key, value"


def insert_attributes(db: sqlite3.Connection, attributes: Iterable[Attribute]) -> None:
    """Store new attributes."""
    query = f"INSERT INTO attributes ({_ATTRIBUTE}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
    db.executemany(query, [attrs.astuple(attribute) for attribute in attributes])


def find_attribute(db: sqlite3.Connection, attributeid: str) -> Attribute | None:
    """Return the attribute with this id."""
    query = f"SELECT {_ATTRIBUTE} FROM attributes WHERE attributeid = ?"  # noqa: S608
    row = db.execute(query, (attributeid,)).fetchone()
    return Attribute(*row) if row else None


def attributes_json(db: sqlite3.Connection, processid: str) -> str:
    """Return the JSON list of a process's attributes, oldest first."""
    rows = db.execute(f"SELECT {_ATTRIBUTE} FROM attributes WHERE targetid = ? ORDER BY seq", (processid,))  # noqa: S608
    return f"[{','.join(Attribute(*row).json() for row in rows)}]"
