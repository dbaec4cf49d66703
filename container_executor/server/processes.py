"""Asking for processes and removing them."""

from container_executor.server.call import EMPTY, Call, Handler
from container_executor.server.fields import integer, struct, text
from container_executor.server.lifecycle import cancel
from container_executor.server.process import State, render, render_list, select
from container_executor.server.refusal import Refused
from container_executor.server.roles import colony_owner, member, member_of_process
from container_executor.server.stamps import SECOND

MOST = 100
"""No list is longer."""

ALL = -1
"""In place of a state: every state."""

_ORDER = {State.WAITING: "prioritytime", State.RUNNING: "started"}


def get(call: Call) -> str:
    """Return one process."""
    return render(call.db, call.process)


def check_count(count: int) -> None:
    """Refuse to list more than ``MOST``, or a negative number."""
    if count > MOST:
        raise Refused(400, f"Count is larger than MaxCount limit <{MOST}>")
    if count < 0:
        raise Refused(400, "Count must not be negative")


def listing(call: Call) -> str:
    """List processes of one state; of the three filters the first that is set counts."""
    message = call.message
    check_count(message["count"])
    if message["state"] not in set(State):
        raise Refused(400, "Failed to get processes, invalid msg.State")
    condition, value = "'' = ?", ""
    for column, field in (("label", "label"), ("initiatorname", "initiator"), ("executortype", "executortype")):
        if message[field]:
            condition, value = f"{column} = ?", message[field]
    order = _ORDER.get(message["state"], "ended DESC")
    rest = f"WHERE colony = ? AND state = {int(message['state'])} AND {condition} ORDER BY {order}, seq LIMIT ?"
    return render_list(call.db, select(call.db, rest, message["colonyname"], value, message["count"]))


def _check_initiator(call: Call) -> None:
    member()(call)
    name = call.message["initiator"]
    known = call.db.execute("SELECT 1 FROM users WHERE colony = ? AND name = ?", (call.message["colonyname"], name))
    if name and known.fetchone() is None:
        raise Refused(400, f"User <{name}> does not exist")


def history(call: Call) -> str:
    """List processes of one state submitted in the last seconds, all or those of one executor.

    The Colonies server answers a stranger with an empty body here; this one says no as everywhere else.
    """
    message = call.message
    since = max(call.now - message["seconds"] * SECOND, 0)
    rest = f"WHERE colony = ? AND state = {int(message['state'])} AND submitted >= ?"
    values: list[str | int] = [message["colonyname"], since]
    if message["executorid"]:
        rest += " AND assigned = ?"
        values.append(message["executorid"])
    return render_list(call.db, select(call.db, f"{rest} ORDER BY submitted, seq", *values))


def cancel_one(call: Call) -> str:
    """Cancel a process that belongs to no workflow."""
    if call.process.graphid:
        raise Refused(
            400, "Failed to cancel, cannot cancel a process part of a workflow, cancel the entire workflow instead"
        )
    cancel(call, call.process)
    return EMPTY


def remove(call: Call) -> str:
    """Forget a process that does not run and belongs to no workflow."""
    process = call.process
    if process.graphid:
        raise Refused(
            400,
            "Failed to remove, cannot remove a process part of a workflow, delete the entire workflow instead",
        )
    if process.state == State.RUNNING:
        raise Refused(400, "Failed to remove process, cannot remove a running process")
    forget(call, "processid = ?", process.processid)
    return EMPTY


def remove_all(call: Call) -> str:
    """Forget all processes of a colony, or those of one state, that belong to no workflow."""
    state = call.message["state"]
    if state == State.RUNNING:
        raise Refused(400, "Not possible to remove running processes")
    if state == ALL:
        forget(call, "colony = ? AND graphid = ''", call.message["colonyname"])
    elif state in set(State):
        forget(call, f"colony = ? AND graphid = '' AND state = {int(state)}", call.message["colonyname"])
    else:
        raise Refused(400, "Invalid state when deleting all processes")
    return EMPTY


def forget(call: Call, condition: str, value: str) -> None:
    """Delete processes with their attributes. Logs stay, as on the Colonies server."""
    chosen = f"SELECT processid FROM processes WHERE {condition}"  # noqa: S608 - the conditions stand in this package
    call.db.execute(f"DELETE FROM attributes WHERE targetid IN ({chosen})", (value,))  # noqa: S608
    call.db.execute(f"DELETE FROM processes WHERE {condition}", (value,))  # noqa: S608


_ID = struct(processid=text)

HANDLERS = (
    Handler(
        "getprocessmsg", "get process", _ID, member_of_process(404, "Failed to get process, process not found"), get
    ),
    Handler(
        "getprocessesmsg",
        "get processes",
        struct(colonyname=text, count=integer, state=integer, executortype=text, label=text, initiator=text),
        _check_initiator,
        listing,
    ),
    Handler(
        "getprocesshistmsg",
        "get process hist",
        struct(colonyname=text, executorid=text, seconds=integer, state=integer),
        member(),
        history,
    ),
    Handler(
        "cancelprocessmsg",
        "cancel process",
        _ID,
        member_of_process(500, "Failed to cancel process, process is nil"),
        cancel_one,
    ),
    Handler(
        "removeprocessmsg",
        "remove process",
        _ID,
        member_of_process(500, "Failed to remove process, process is nil"),
        remove,
    ),
    Handler(
        "removeallprocessesmsg",
        "remove all processes",
        struct(colonyname=text, state=integer),
        colony_owner(),
        remove_all,
    ),
)
"""The messages of this module."""
