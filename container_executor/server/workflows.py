"""Workflows: several processes, some of which wait for others."""

import json
import sqlite3
from typing import Any

import attrs

from container_executor.server import graph
from container_executor.server.call import Call
from container_executor.server.fields import dump
from container_executor.server.graph import Node
from container_executor.server.lifecycle import announce, change, enter
from container_executor.server.process import ENDED, Process, State, select
from container_executor.server.stamps import rfc3339

_COLUMNS = "graphid, colony, initiatorid, initiatorname, roots, state, submitted, started, ended"


@attrs.frozen
class Workflow:
    """One row of ``graphs``; times are nanoseconds, 0 where unset; ``roots`` is a JSON list of process ids."""

    graphid: str
    colony: str
    initiatorid: str
    initiatorname: str
    roots: str
    state: int
    submitted: int
    started: int
    ended: int

    def root_ids(self) -> list[str]:
        """Return the ids of the processes that wait for nothing."""
        found: list[str] = json.loads(self.roots)
        return found


def find_workflow(db: sqlite3.Connection, graphid: str) -> Workflow | None:
    """Return the workflow with this id."""
    row = db.execute(f"SELECT {_COLUMNS} FROM graphs WHERE graphid = ?", (graphid,)).fetchone()  # noqa: S608
    return Workflow(*row) if row else None


def store_workflow(db: sqlite3.Connection, workflow: Workflow) -> None:
    """Store a new workflow."""
    db.execute(f"INSERT INTO graphs ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", attrs.astuple(workflow))  # noqa: S608


def list_workflows(db: sqlite3.Connection, colony: str, state: int, count: int) -> list[Workflow]:
    """Return the newest workflows of a state."""
    rest = "WHERE colony = ? AND state = ? ORDER BY submitted DESC, seq DESC LIMIT ?"
    rows = db.execute(f"SELECT {_COLUMNS} FROM graphs {rest}", (colony, state, count))  # noqa: S608
    return [Workflow(*row) for row in rows]


def members(db: sqlite3.Connection, graphid: str) -> dict[str, Process]:
    """Return the processes of a workflow by id, in the order in which they were added."""
    found = select(db, "WHERE graphid <> '' AND graphid = ? ORDER BY seq", graphid)
    return {process.processid: process for process in found}


def nodes_of(processes: dict[str, Process]) -> dict[str, Node]:
    """Return what the graph's rules need of the processes."""
    return {
        process.processid: Node(
            process.processid,
            json.loads(process.spec)["nodename"],
            State(process.state),
            process.parent_ids(),
            process.child_ids(),
        )
        for process in processes.values()
    }


def resolve(call: Call, graphid: str) -> None:
    """Bring a workflow in line after one of its processes has changed; without a workflow, do nothing.

    A failed process on which others wait fails all that has not ended. Children whose parents ended well become
    assignable.
    """
    workflow = find_workflow(call.db, graphid) if graphid else None
    if workflow is None:
        return
    processes = members(call.db, graphid)
    nodes = nodes_of(processes)
    if graph.has_failed_parent(nodes):
        _fail_rest(call, processes)
        _set_state(call, workflow, State.FAILED)
        return
    _release_ready(call, processes, nodes)
    _set_state(call, workflow, graph.overall([node.state for node in nodes.values()]))


def _fail_rest(call: Call, processes: dict[str, Process]) -> None:
    for process in processes.values():
        if process.state not in ENDED:
            enter(call, process, State.FAILED, ended=call.now)


def _release_ready(call: Call, processes: dict[str, Process], nodes: dict[str, Node]) -> None:
    for process in processes.values():
        if process.waitforparents and graph.is_ready(nodes, nodes[process.processid]):
            released = change(call.db, process, waitforparents=0)
            if released.state == State.WAITING:
                announce(call, released)


def _set_state(call: Call, workflow: Workflow, state: State) -> None:
    started = workflow.started or (call.now if state != State.WAITING else 0)
    ended = workflow.ended or (call.now if state in ENDED else 0)
    call.db.execute(
        "UPDATE graphs SET state = ?, started = ?, ended = ? WHERE graphid = ?",
        (int(state), started, ended, workflow.graphid),
    )


def cancel_all(call: Call, workflow: Workflow) -> None:
    """Cancel all processes of a workflow that have not ended."""
    for process in members(call.db, workflow.graphid).values():
        if process.state not in ENDED:
            enter(call, process, State.CANCELLED, ended=call.now)
    _set_state(call, workflow, State.CANCELLED)


def parents_output(db: sqlite3.Connection, process: Process) -> str:
    """Return the outputs of a process's parents, one after the other, as JSON."""
    joined: list[Any] = []
    for parent in process.parent_ids():
        row = db.execute("SELECT output FROM processes WHERE processid = ?", (parent,)).fetchone()
        joined += json.loads(row[0]) if row else []
    return dump(joined)


def fresh_json(workflow: Workflow, processids: list[str]) -> str:
    """Return a workflow as the reply to its submission shows it: no times and no drawing yet."""
    return _json(attrs.evolve(workflow, submitted=0), processids, [], [])


def workflow_json(db: sqlite3.Connection, workflow: Workflow) -> str:
    """Return a workflow with its drawing."""
    nodes = nodes_of(members(db, workflow.graphid))
    roots = workflow.root_ids()
    boxes, arrows = graph.draw(nodes, roots)
    return _json(workflow, [node.processid for node, _ in graph.walk(nodes, roots)], boxes, arrows)


def _json(
    workflow: Workflow, processids: list[str], boxes: list[dict[str, object]], arrows: list[dict[str, object]]
) -> str:
    return dump(
        {
            "processgraphid": workflow.graphid,
            "initiatorid": workflow.initiatorid,
            "initiatorname": workflow.initiatorname,
            "colonyname": workflow.colony,
            "rootprocessids": workflow.root_ids(),
            "state": workflow.state,
            "submissiontime": rfc3339(workflow.submitted),
            "starttime": rfc3339(workflow.started),
            "endtime": rfc3339(workflow.ended),
            "processids": processids,
            "nodes": boxes,
            "edges": arrows,
        }
    )
