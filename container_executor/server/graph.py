"""Workflows as graphs: pure rules for their states, and the drawing that replies carry."""

from collections.abc import Iterator, Mapping, Sequence

import attrs

from container_executor.server.process import State

BOX = 150
GAP = 50
ROW = 80
"""Sizes of the drawing in pixels, as the Colonies dashboard expects them."""

_COLOURS = {
    State.WAITING: "#eee8d8",
    State.RUNNING: "#4689cd",
    State.SUCCESS: "#92d050",
    State.FAILED: "#cb4239",
    State.CANCELLED: "#f5a623",
}


@attrs.frozen
class Node:
    """A process of a workflow, without what the graph does not care about."""

    processid: str
    name: str
    state: State
    parents: Sequence[str]
    children: Sequence[str]


Nodes = Mapping[str, Node]


def walk(nodes: Nodes, roots: Sequence[str]) -> Iterator[tuple[Node, int]]:
    """Yield each node that the roots reach, once, with its depth: a parent before its first child."""
    stack = [(root, 0) for root in reversed(roots)]
    seen: set[str] = set()
    while stack:
        processid, depth = stack.pop()
        if processid in seen or processid not in nodes:
            continue
        seen.add(processid)
        node = nodes[processid]
        yield node, depth
        stack.extend((child, depth + 1) for child in reversed(node.children))


def has_failed_parent(nodes: Nodes) -> bool:
    """Whether a process failed on which another one waits: then nothing of the workflow goes on."""
    return any(node.state == State.FAILED and node.children for node in nodes.values())


def is_ready(nodes: Nodes, node: Node) -> bool:
    """Whether all parents ended well."""
    return all(parent in nodes and nodes[parent].state == State.SUCCESS for parent in node.parents)


def overall(states: Sequence[State]) -> State:
    """Return the state of a workflow whose processes are in these states."""
    for state in (State.FAILED, State.CANCELLED):
        if state in states:
            return state
    if all(state == State.SUCCESS for state in states):
        return State.SUCCESS
    return State.RUNNING if State.SUCCESS in states or State.RUNNING in states else State.WAITING


def is_acyclic(children: Mapping[str, Sequence[str]]) -> bool:
    """Whether following children never leads back."""
    parents = dict.fromkeys(children, 0)
    for names in children.values():
        for name in names:
            parents[name] += 1
    free = [name for name, count in parents.items() if count == 0]
    for name in free:
        for child in children[name]:
            parents[child] -= 1
            if parents[child] == 0:
                free.append(child)
    return len(free) == len(children)


def draw(nodes: Nodes, roots: Sequence[str]) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    """Return the boxes and arrows of the drawing; each row of boxes is centred under the widest."""
    rows: dict[int, list[Node]] = {}
    for node, depth in walk(nodes, roots):
        rows.setdefault(depth, []).append(node)
    widest = max((_width(row) for row in rows.values()), default=0)
    boxes = [
        _box(node, widest // 2 - _width(row) // 2 + at * (BOX + GAP), depth * ROW)
        for depth, row in rows.items()
        for at, node in enumerate(row)
    ]
    return boxes, [_arrow(node, child) for row in rows.values() for node in row for child in node.children]


def _width(row: Sequence[Node]) -> int:
    return len(row) * BOX + (len(row) - 1) * GAP


def _box(node: Node, x: int, y: int) -> dict[str, object]:
    kind = "input" if not node.parents else "output" if not node.children else ""
    return {
        "id": node.processid,
        "data": {"label": node.name},
        "position": {"x": x, "y": y},
        "type": kind,
        "style": {"color": "", "background": _COLOURS[node.state]},
    }


def _arrow(node: Node, child: str) -> dict[str, object]:
    return {
        "id": f"{node.processid}-{child}",
        "source": node.processid,
        "target": child,
        "animated": node.state == State.RUNNING,
    }
