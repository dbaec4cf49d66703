"""The messages about workflows."""

from typing import Any

from container_executor.server.call import EMPTY, Call, Handler
from container_executor.server.fields import boolean, dump, integer, list_of, needed, struct, text
from container_executor.server.graph import is_acyclic
from container_executor.server.lifecycle import change
from container_executor.server.process import Process, State, find, render
from container_executor.server.processes import ALL, check_count, forget
from container_executor.server.refusal import Refused
from container_executor.server.roles import anybody, colony_owner, initiator_name, member, require_member
from container_executor.server.spec import FUNCTION_SPEC
from container_executor.server.submitting import Place, enqueue, new_id, prepare, spec_colony
from container_executor.server.workflows import (
    Workflow,
    cancel_all,
    find_workflow,
    fresh_json,
    list_workflows,
    store_workflow,
    workflow_json,
)

_BAD_DEPENDENCIES = (
    "Failed to submit workflow, invalid dependencies, are you depending on a nodename that does not exits?"
)


def _of_workflow(message: dict[str, Any]) -> str:
    colony: str = message["spec"]["colonyname"]
    return colony


def submit(call: Call) -> str:
    """Queue a workflow. All of it is stored, or nothing."""
    colony = _of_workflow(call.message)
    specs = _by_name(call.message["spec"]["functionspecs"] or [])
    children = _children(specs)
    ids = {node: new_id() for node in specs}
    roots = [ids[node] for node, spec in specs.items() if not spec["conditions"]["dependencies"]]
    initiator = initiator_name(call.db, colony, call.caller)
    workflow = Workflow(new_id(), colony, call.caller, initiator, dump(roots), int(State.WAITING), call.now, 0, 0)
    store_workflow(call.db, workflow)
    for node, spec in specs.items():
        _add_node(call, spec, workflow, _place(node, spec, ids, children, workflow.graphid))
    return fresh_json(workflow, list(ids.values()))


def _by_name(specs: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for spec in specs:
        if not spec["nodename"]:
            raise Refused(500, "Nodename is missing, check function spec for errors")
        if spec["nodename"] in found:
            raise Refused(500, f"Duplicate nodename: {spec['nodename']}")
        found[spec["nodename"]] = spec
    return found


def _children(specs: dict[str, dict[str, Any]]) -> dict[str, list[str]]:
    children: dict[str, list[str]] = {name: [] for name in specs}
    for name, spec in specs.items():
        for parent in dict.fromkeys(spec["conditions"]["dependencies"] or []):
            if parent not in specs:
                raise Refused(500, _BAD_DEPENDENCIES)
            children[parent].append(name)
    if not is_acyclic(children):
        raise Refused(500, "Failed to submit workflow, invalid dependencies, they go round in a circle")
    return children


def _place(node: str, spec: dict[str, Any], ids: dict[str, str], children: dict[str, list[str]], graphid: str) -> Place:
    parents = [ids[name] for name in dict.fromkeys(spec["conditions"]["dependencies"] or [])]
    return Place(ids[node], parents, [ids[name] for name in children[node]], graphid)


def _add_node(call: Call, spec: dict[str, Any], workflow: Workflow, place: Place) -> None:
    spec["conditions"]["colonyname"] = workflow.colony
    spec["maxexectime"] = spec["maxexectime"] or -1
    try:
        process = prepare(call, spec, workflow.initiatorname, place)
    except Refused as refusal:
        raise Refused(500, f"Failed to submit workflow, failed to add process: {refusal.message}") from None
    enqueue(call, process, spec["env"])


def _find(call: Call, what: str) -> Workflow:
    workflow = find_workflow(call.db, call.message["processgraphid"])
    if workflow is None:
        raise Refused(500, f"Failed to {what} processgraph, graph is nil")
    require_member(call.db, workflow.colony, call.caller)
    return workflow


def get(call: Call) -> str:
    """Return a workflow."""
    return workflow_json(call.db, _find(call, "get"))


def listing(call: Call) -> str:
    """List the newest workflows of one state."""
    message = call.message
    check_count(message["count"])
    if message["state"] not in set(State):
        raise Refused(400, "invalid msg.State")
    found = list_workflows(call.db, message["colonyname"], message["state"], message["count"])
    return f"[{','.join(workflow_json(call.db, workflow) for workflow in found)}]" if found else "null"


def cancel(call: Call) -> str:
    """Cancel what has not ended of a workflow."""
    cancel_all(call, _find(call, "cancel"))
    return EMPTY


def remove(call: Call) -> str:
    """Forget a workflow that does not run, with its processes."""
    workflow = _find(call, "remove")
    if workflow.state == State.RUNNING:
        raise Refused(400, "Failed to remove processgraph, cannot remove a running processgraph")
    forget(call, "graphid <> '' AND graphid = ?", workflow.graphid)
    call.db.execute("DELETE FROM graphs WHERE graphid = ?", (workflow.graphid,))
    return EMPTY


def remove_all(call: Call) -> str:
    """Forget all workflows of a colony, or those of one state, with their processes."""
    state, colony = call.message["state"], call.message["colonyname"]
    if state == State.RUNNING:
        raise Refused(400, "not possible to remove running processgraphs")
    if state != ALL and state not in set(State):
        raise Refused(400, "invalid state when deleting all processgraphs")
    condition = "colony = ?" if state == ALL else f"colony = ? AND state = {int(state)}"
    forget(call, f"graphid <> '' AND graphid IN (SELECT graphid FROM graphs WHERE {condition})", colony)  # noqa: S608
    call.db.execute(f"DELETE FROM graphs WHERE {condition}", (colony,))  # noqa: S608
    return EMPTY


def add_child(call: Call) -> str:
    """Add a process to a running workflow, after a parent that the caller runs.

    With ``insert`` the new process comes between the parent and its children; with a ``childprocessid`` between
    the parent and that one; else beside the parent's children.
    """
    message = call.message
    parent = _running_parent(call)
    after = parent.child_ids() if message["insert"] else _known_child(call, parent)
    place = Place(parents=[parent.processid], children=after, graphid=parent.graphid)
    process = prepare(call, message["spec"], "", place)
    process_ids = [process.processid] if message["insert"] else [*parent.child_ids(), process.processid]
    change(call.db, parent, children=dump(process_ids))
    for child in after:
        _add_parent(call, child, process.processid, instead_of=parent.processid if message["insert"] else "")
    enqueue(call, process, message["spec"]["env"])
    return render(call.db, process)


def _running_parent(call: Call) -> Process:
    processid = call.message["parentprocessid"]
    parent = find(call.db, processid)
    if parent is None or parent.state != State.RUNNING:
        raise Refused(400, f"Process with Id {processid} is not running")
    if parent.assigned != call.caller:
        raise Refused(400, f"Process with Id {processid} is not assigned to executor with Id {call.caller}")
    if not parent.graphid or parent.graphid != call.message["processgraphid"]:
        raise Refused(400, f"Process with Id {processid} does not belong to a processgraph")
    if parent.colony != spec_colony(call.message):
        raise Refused(400, f"Process with Id {processid} belongs to another colony")
    return parent


def _known_child(call: Call, parent: Process) -> list[str]:
    processid = call.message["childprocessid"]
    if not processid:
        return []
    child = find(call.db, processid)
    if child is None or child.graphid != parent.graphid or child.state != State.WAITING:
        raise Refused(400, f"Process with Id {processid} does not wait in this processgraph")
    return [processid]


def _add_parent(call: Call, processid: str, parent: str, *, instead_of: str) -> None:
    child = find(call.db, processid)
    if child is not None:
        kept = [known for known in child.parent_ids() if known != instead_of]
        change(call.db, child, parents=dump([*kept, parent]), waitforparents=1)


_GRAPH = struct(processgraphid=text)
_WORKFLOW = struct(colonyname=text, functionspecs=list_of(FUNCTION_SPEC))
_CHILD = struct(
    processgraphid=text, parentprocessid=text, childprocessid=text, spec=needed(FUNCTION_SPEC), insert=boolean
)

HANDLERS = (
    Handler("submitworkflowspecmsg", "submit workflow", struct(spec=needed(_WORKFLOW)), member(_of_workflow), submit),
    Handler("getprocessgraphmsg", "get processgraph", _GRAPH, anybody, get),
    Handler(
        "getprocessgraphsmsg",
        "get processgraphs",
        struct(colonyname=text, count=integer, state=integer),
        member(),
        listing,
    ),
    Handler("cancelprocessgraphmsg", "cancel processgraph", _GRAPH, anybody, cancel),
    Handler("removeprocessgraphmsg", "remove processgraph", _GRAPH, anybody, remove),
    Handler(
        "removeallprocessgraphsmsg",
        "remove all processgraphs",
        struct(colonyname=text, state=integer),
        colony_owner(),
        remove_all,
    ),
    Handler("addchildmsg", "add child to processgraph", _CHILD, member(spec_colony), add_child),
)
"""The messages of this module. Where the role is ``anybody`` it depends on the workflow that is found."""
