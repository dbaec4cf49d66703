"""What executors say they can run; nothing is decided by it."""

import json
from typing import Any

from container_executor.server.call import EMPTY, Call, Handler
from container_executor.server.executors import find_executor
from container_executor.server.fields import boolean, dump, list_of, needed, struct, text
from container_executor.server.refusal import Refused
from container_executor.server.roles import member, require_member
from container_executor.server.submitting import new_id

_ARGUMENT = struct(name=text, type=text, description=text, required=boolean, enum=list_of(text))
_FUNCTION = struct(
    executorname=text, executortype=text, colonyname=text, funcname=text, description=text, args=list_of(_ARGUMENT)
)
_OPTIONAL = ("description", "args", "locationname")

_SELECT = "SELECT functionid, entry, counter, minwait, maxwait, minexec, maxexec, avgwait, avgexec FROM functions"
_FIGURES = ("counter", "minwaittime", "maxwaittime", "minexectime", "maxexectime", "avgwaittime", "avgexectime")


def _of_function(message: dict[str, Any]) -> str:
    colony: str = message["fun"]["colonyname"]
    return colony


def add(call: Call) -> str:
    """Register a function of the calling executor; a second time makes a second entry."""
    given = call.message["fun"]
    executor = find_executor(call.db, given["colonyname"], "name", given["executorname"])
    if executor is None:
        raise Refused(400, f"Failed to add function, Executor with name <{given['executorname']}> does not exist")
    if executor.executorid != call.caller:
        raise Refused(403, "Not allowed to add a function to another executor")
    functionid = new_id()
    call.db.execute(
        "INSERT INTO functions (functionid, colony, executorname, funcname, entry) VALUES (?, ?, ?, ?, ?)",
        (functionid, executor.colony, executor.name, given["funcname"], _entry(given, executor.location)),
    )
    return dump(_function(call.db.execute(f"{_SELECT} WHERE functionid = ?", (functionid,)).fetchone()))


def _entry(given: dict[str, Any], location: str) -> str:
    entry = given | {"locationname": location}
    entry["args"] = [_argument(argument) for argument in given["args"] or []]
    return dump({name: value for name, value in entry.items() if value or name not in _OPTIONAL})


def _argument(argument: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in argument.items() if value or name in ("name", "type")}


def _function(row: tuple[Any, ...]) -> dict[str, Any]:
    return {"functionid": row[0], **json.loads(row[1]), **dict(zip(_FIGURES, row[2:], strict=True))}


def listing(call: Call) -> str:
    """List the functions of a colony, or of one executor."""
    query, values = f"{_SELECT} WHERE colony = ?", [call.message["colonyname"]]
    if call.message["executorname"]:
        query += " AND executorname = ?"
        values.append(call.message["executorname"])
    return dump([_function(row) for row in call.db.execute(f"{query} ORDER BY seq", values)] or None)


def _owner(call: Call) -> None:
    row = call.db.execute(
        "SELECT f.colony, e.executorid FROM functions f LEFT JOIN executors e "
        "ON e.colony = f.colony AND e.name = f.executorname WHERE f.functionid = ?",
        (call.message["functionid"],),
    ).fetchone()
    if row is None:
        raise Refused(404, "Failed to remove function, function does not exist")
    require_member(call.db, row[0], call.caller)
    if row[1] != call.caller:
        raise Refused(403, "Not allowed to remove a function from another executor")


def remove(call: Call) -> str:
    """Remove a function."""
    call.db.execute("DELETE FROM functions WHERE functionid = ?", (call.message["functionid"],))
    return EMPTY


HANDLERS = (
    Handler("addfunctionmsg", "add function", struct(fun=needed(_FUNCTION)), member(_of_function), add),
    Handler("getfunctionsmsg", "get function", struct(colonyname=text, executorname=text), member(), listing),
    Handler("removefunctionmsg", "remove function", struct(functionid=text), _owner, remove),
)
"""The messages of this module."""
