"""Counting: a colony's executors, processes and workflows, and how long its functions take."""

from container_executor.server.call import Call, Handler
from container_executor.server.fields import dump, struct, text
from container_executor.server.process import Process, State
from container_executor.server.refusal import Refused
from container_executor.server.roles import APPROVED, require_member, server_owner
from container_executor.server.stamps import SECOND

UNREGISTERED = 3
"""The state of an executor that has been removed."""

_NAMES = {
    State.WAITING: "waiting",
    State.RUNNING: "running",
    State.SUCCESS: "successful",
    State.FAILED: "failed",
    State.CANCELLED: "cancelled",
}


def of_colony(call: Call) -> str:
    """Count what a colony has."""
    name = call.message["colonyname"]
    executors = _by_state(call, "executors", name)
    counts = {
        "colonies": 1,
        "executors": sum(executors.values()),
        "activeexecutors": executors.get(APPROVED, 0),
        "unregisteredexecutors": executors.get(UNREGISTERED, 0),
    }
    for table, suffix in (("processes", "processes"), ("graphs", "workflows")):
        found = _by_state(call, table, name)
        counts |= {f"{word}{suffix}": found.get(state, 0) for state, word in _NAMES.items()}
    return dump(counts)


def of_server(call: Call) -> str:
    """Count what the server has over all colonies."""
    colonies = call.db.execute("SELECT count(*) FROM colonies").fetchone()[0]
    executors = call.db.execute("SELECT count(*) FROM executors").fetchone()[0]
    counts: dict[str, int] = {"colonies": colonies, "executors": executors}
    counts |= {"activeexecutors": 0, "unregisteredexecutors": 0}
    for table, suffix in (("processes", "processes"), ("graphs", "workflows")):
        found = dict(call.db.execute(f"SELECT state, count(*) FROM {table} GROUP BY state"))  # noqa: S608
        counts |= {f"{word}{suffix}": found.get(state, 0) for state, word in _NAMES.items()}
    return dump(counts)


def _by_state(call: Call, table: str, colony: str) -> dict[int, int]:
    query = f"SELECT state, count(*) FROM {table} WHERE colony = ? GROUP BY state"  # noqa: S608
    return dict(call.db.execute(query, (colony,)))


def _member_of_known(call: Call) -> None:
    name = call.message["colonyname"]
    if call.db.execute("SELECT 1 FROM colonies WHERE name = ?", (name,)).fetchone() is None:
        raise Refused(400, f"Colony with name <{name}> not found")
    require_member(call.db, name, call.caller)


def count_success(call: Call, process: Process) -> None:
    """Add a well ended process to the figures of its function, where the executor has registered that."""
    row = call.db.execute(
        "SELECT f.seq, f.minwait, f.maxwait, f.avgwait, f.minexec, f.maxexec, f.avgexec FROM functions f "
        "JOIN executors e ON e.colony = f.colony AND e.name = f.executorname "
        "WHERE e.colony = ? AND e.executorid = ? AND f.funcname = ? ORDER BY f.seq LIMIT 1",
        (process.colony, process.assigned, process.funcname),
    ).fetchone()
    if row is None:
        return
    wait = (process.started - process.submitted) / SECOND
    took = (process.ended - process.started) / SECOND
    call.db.execute(
        "UPDATE functions SET counter = counter + 1, minwait = ?, maxwait = ?, avgwait = ?, "
        "minexec = ?, maxexec = ?, avgexec = ? WHERE seq = ?",
        (*_updated(row[1:4], wait), *_updated(row[4:7], took), row[0]),
    )


def _updated(figures: tuple[float, float, float], value: float) -> tuple[float, float, float]:
    """Return the new minimum, maximum and average.

    The average is that of the old one and the value, as on the Colonies server.
    """
    least, most, average = figures
    if average <= 0:
        return value, value, value
    return min(least, value), max(most, value), (average + value) / 2


HANDLERS = (
    Handler("getcolonystatsmsg", "get colony statistics", struct(colonyname=text), _member_of_known, of_colony),
    Handler("getstatisticsmsg", "get statistics", struct(), server_owner, of_server),
)
"""The messages of this module."""
