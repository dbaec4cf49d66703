"""What the executor that holds a process tells of it: output, logs, attributes, the end."""

import json
from collections.abc import Callable

from container_executor.server.call import EMPTY, Call, Handler, Role
from container_executor.server.fields import anything, dump, integer, list_of, struct, text
from container_executor.server.lifecycle import change, fail, succeed
from container_executor.server.process import Attribute, Process, State, insert_attributes
from container_executor.server.refusal import Refused
from container_executor.server.roles import executor_name, member_of_process
from container_executor.server.statistics import count_success
from container_executor.server.submitting import ENV, new_id
from container_executor.server.workflows import resolve


def _holder(unknown: str, *checks: Callable[[Process, str], None], status: int = 500) -> Role:
    """Let in the executor that the process is assigned to; *checks* refuse in the order of the Colonies server."""
    find = member_of_process(status, unknown)

    def check(call: Call) -> None:
        find(call)
        for each in checks:
            each(call.process, call.caller)

    return check


def _assigned(message: str) -> Callable[[Process, str], None]:
    def check(process: Process, _caller: str) -> None:
        if not process.assigned:
            raise Refused(403, message)

    return check


def _to_caller(message: str) -> Callable[[Process, str], None]:
    def check(process: Process, caller: str) -> None:
        if process.assigned != caller:
            raise Refused(403, message)

    return check


def _running(message: str) -> Callable[[Process, str], None]:
    def check(process: Process, _caller: str) -> None:
        if process.state != State.RUNNING:
            raise Refused(403, message)

    return check


_NOT_HOLDER = "Failed to close process as successful, not allowed to close process as successful"
_NOT_RUNNING = "Failed to set output, process is not running"


def set_output(call: Call) -> str:
    """Store output before the end; an empty one changes nothing."""
    if call.message["out"]:
        change(call.db, call.process, output=dump(call.message["out"]))
    return EMPTY


def close_successful(call: Call) -> str:
    """End a process well. A second time is a yes too, and stores the new output."""
    closed = succeed(call, call.process, call.message["out"])
    resolve(call, closed.graphid)
    count_success(call, closed)
    return EMPTY


def close_failed(call: Call) -> str:
    """End a process badly."""
    resolve(call, fail(call, call.process, call.message["errors"]).graphid)
    return EMPTY


def add_log(call: Call) -> str:
    """Store one message of a running process; its time is the server's."""
    process = call.process
    name = executor_name(call.db, process.colony, call.caller) or ""
    store_log(call, process.processid, process.colony, name)
    return EMPTY


def store_log(call: Call, processid: str, colony: str, name: str) -> None:
    """Store the message of this call."""
    call.db.execute(
        "INSERT INTO logs (ts, processid, colony, executorname, message) VALUES (?, ?, ?, ?, ?)",
        (call.now, processid, colony, name, call.message["message"]),
    )


def _attribute_holder(call: Call) -> None:
    member_of_process(404, "Failed to add attribute, process not found", lambda m: str(m["attribute"]["targetid"]))(
        call
    )
    process = call.process
    _running("Failed to add attribute, process is not running")(process, call.caller)
    denied = f"Failed to add attribute, only executor with id <{process.assigned}> is allowed to set attributes"
    _to_caller(denied)(process, call.caller)


def add_attribute(call: Call) -> str:
    """Store an attribute; each type and key of a process is written once."""
    process, given = call.process, call.message["attribute"]
    known = "SELECT 1 FROM attributes WHERE targetid = ? AND kind = ? AND key = ?"
    if call.db.execute(known, (process.processid, given["attributetype"], given["key"])).fetchone():
        raise Refused(400, f"duplicate key: attribute {given['key']!r} of this type is already set and stays as it is")
    kind, key, value = given["attributetype"], given["key"], given["value"]
    attribute = Attribute(new_id(), process.processid, process.colony, process.graphid, 0, kind, key, value)
    insert_attributes(call.db, [attribute])
    if kind == ENV:
        spec = json.loads(process.spec)
        spec["env"][key] = value
        change(call.db, process, spec=dump(spec))
    return attribute.json()


_CLOSE_OK = "Failed to close process as successful, process is "
_CLOSE_BAD = "Failed to close process as failed, "

HANDLERS = (
    Handler(
        "setoutputmsg",
        "set output",
        struct(processid=text, out=list_of(anything)),
        _holder("Failed to set output, process is nil", _to_caller(_NOT_HOLDER), _running(_NOT_RUNNING)),
        set_output,
    ),
    Handler(
        "closesuccessfulmsg",
        "close successful",
        struct(processid=text, out=list_of(anything)),
        _holder(f"{_CLOSE_OK}nil", _assigned(f"{_CLOSE_OK}not assigned"), _to_caller(_NOT_HOLDER)),
        close_successful,
    ),
    Handler(
        "closefailedmsg",
        "close failed",
        struct(processid=text, errors=list_of(text)),
        _holder(
            f"{_CLOSE_BAD}process is nil",
            _assigned(f"{_CLOSE_BAD}process is not assigned"),
            _to_caller(f"{_CLOSE_BAD}not allowed to close process as failed"),
        ),
        close_failed,
    ),
    Handler(
        "addlogmsg",
        "add log",
        struct(processid=text, message=text),
        _holder(
            "Failed to add log, process is nil",
            _running(_NOT_RUNNING),
            _to_caller("Failed to add log, not allowed to add log, only the assigned Executor may att logs"),
        ),
        add_log,
    ),
    Handler(
        "addattributemsg",
        "add attribute",
        struct(attribute=struct(targetid=text, targetcolonyname=text, attributetype=integer, key=text, value=text)),
        _attribute_holder,
        add_attribute,
    ),
)
"""The messages of this module."""
