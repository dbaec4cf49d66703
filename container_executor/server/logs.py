"""Reading logs, and logs of executors that belong to no process."""

from typing import Any

from container_executor.server.call import EMPTY, Call, Handler
from container_executor.server.closing import store_log
from container_executor.server.fields import boolean, dump, integer, struct, text
from container_executor.server.process import find
from container_executor.server.refusal import Refused
from container_executor.server.roles import executor_name, member, require_member
from container_executor.server.stamps import DAY

MOST = 500
MOST_FOUND = 100
MOST_DAYS = 30

_COLUMNS = "processid, colony, executorname, message, ts"


def _may_read(call: Call) -> None:
    message = call.message
    if message["executorname"]:
        colony = message["colonyname"]
        known = "SELECT 1 FROM executors WHERE colony = ? AND name = ?"
        if call.db.execute(known, (colony, message["executorname"])).fetchone() is None:
            raise Refused(500, "Failed to get logs, executor does not exist")
    else:
        process = find(call.db, message["processid"])
        if process is None:
            raise Refused(500, "Failed to get logs, process does not exist")
        colony = process.colony
    require_member(call.db, colony, call.caller)


def get(call: Call) -> str:
    """Return messages of a process, or of an executor, in the order of their times.

    ``since`` leaves out what is not later; ``latest`` gives the newest instead of the oldest.
    """
    message = call.message
    count = message["count"]
    if count > MOST:
        raise Refused(403, f"Count exceeds max log count ({MOST})")
    if count < 0:
        raise Refused(400, "Count must not be negative")
    condition, values = _source(message)
    since = 0 if message["latest"] else message["since"]
    order = "DESC" if message["latest"] else "ASC"
    query = f"SELECT {_COLUMNS} FROM logs WHERE {condition} AND ts > ? ORDER BY ts {order} LIMIT ?"  # noqa: S608
    rows = call.db.execute(query, (*values, since, count)).fetchall()
    return _json(rows[::-1] if message["latest"] else rows)


def _source(message: dict[str, Any]) -> tuple[str, tuple[str, ...]]:
    if message["executorname"]:
        return "colony = ? AND executorname = ?", (message["colonyname"], message["executorname"])
    return "processid = ?", (message["processid"],)


def search(call: Call) -> str:
    """Find messages of the last days that contain a text; ``%`` and ``_`` are wildcards."""
    message = call.message
    if message["count"] > MOST_FOUND:
        raise Refused(400, f"Count exceeds max log count ({MOST_FOUND})")
    if message["days"] > MOST_DAYS:
        raise Refused(400, f"Count exceeds max day count ({MOST_DAYS})")
    rows = call.db.execute(
        f"SELECT {_COLUMNS} FROM logs WHERE ts > ? AND colony = ? AND message LIKE '%' || ? || '%' "  # noqa: S608
        r"ESCAPE '\' ORDER BY ts LIMIT ?",
        (call.now - max(message["days"], 0) * DAY, message["colonyname"], message["text"], max(message["count"], 0)),
    ).fetchall()
    return _json(rows)


def _json(rows: list[tuple[Any, ...]]) -> str:
    names = ("processid", "colonyname", "executorname", "message", "timestamp")
    return dump([dict(zip(names, row, strict=True)) for row in rows] or None)


def add_executor_log(call: Call) -> str:
    """Store a message of the calling executor."""
    colony = call.message["colonyname"]
    name = executor_name(call.db, colony, call.caller)
    if name is None:
        raise Refused(403, "Failed to add executor log, executor not found")
    if name != call.message["executorname"]:
        raise Refused(403, "Failed to add executor log, executor name mismatch")
    store_log(call, "", colony, name)
    return EMPTY


HANDLERS = (
    Handler(
        "getlogsmsg",
        "get logs",
        struct(colonyname=text, processid=text, executorname=text, count=integer, since=integer, latest=boolean),
        _may_read,
        get,
    ),
    Handler(
        "searchlogsmsg",
        "search logs",
        struct(colonyname=text, text=text, days=integer, count=integer),
        member(),
        search,
    ),
    Handler(
        "addexecutorlogmsg",
        "add executor log",
        struct(colonyname=text, executorname=text, message=text),
        member(),
        add_executor_log,
    ),
)
"""The messages of this module."""
