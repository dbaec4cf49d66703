"""Workflows: children wait for parents, failures spread, and a bad one leaves nothing behind."""

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from container_executor.server.graph import Node, draw, is_acyclic, is_ready, overall, walk
from container_executor.server.process import State

if TYPE_CHECKING:
    from tests.server.conftest import Town

COLONY = "town"
WAITING, RUNNING, SUCCESS, FAILED, CANCELLED = range(5)


def node(name: str, *parents: str, **over: Any) -> dict[str, Any]:
    """Return the spec of a node."""
    return {"nodename": name, "conditions": {"executortype": "builder", "dependencies": list(parents)}, **over}


def flow(town: "Town", *nodes: dict[str, Any]) -> dict[str, Any]:
    """Submit a workflow."""
    spec = {"colonyname": COLONY, "functionspecs": list(nodes)}
    found: dict[str, Any] = town.call("user", "submitworkflowspecmsg", spec=spec)
    return found


def refused(town: "Town", *nodes: dict[str, Any]) -> tuple[int, str]:
    return town.refused("user", "submitworkflowspecmsg", spec={"colonyname": COLONY, "functionspecs": list(nodes)})


def graph(town: "Town", graphid: str) -> dict[str, Any]:
    found: dict[str, Any] = town.call("user", "getprocessgraphmsg", processgraphid=graphid)
    return found


def test_a_child_gets_the_outputs_of_its_parents_in_their_order(town: "Town") -> None:
    found = flow(town, node("a"), node("b"), node("c", "b", "a"))
    a, b, c = found["processids"]
    for _ in range(2):
        processid = str(town.assign())
        town.close(processid, out=[{a: "from a", b: "from b"}[processid]])

    assert town.assign() == c
    assert town.process(c)["in"] == ["from b", "from a"]
    assert town.process(c)["spec"]["maxexectime"] == -1
    town.close(c)
    assert graph(town, found["processgraphid"])["state"] == SUCCESS


def test_closing_a_parent_wakes_a_poll_for_the_child(town: "Town") -> None:
    from concurrent.futures import ThreadPoolExecutor

    _, b = flow(town, node("a"), node("b", "a"))["processids"]
    a = str(town.assign())
    with ThreadPoolExecutor(1) as pool:
        poll = pool.submit(town.assign, "e2", 20)
        town.close(a)

        assert poll.result(15) == b


def test_a_failed_parent_fails_all_that_has_not_ended(town: "Town") -> None:
    found = flow(town, node("done"), node("a"), node("sibling"), node("b", "a"), node("c", "b"))
    done, a, sibling = (str(town.assign()) for _ in range(3))
    town.close(done)

    town.call("e1", "closefailedmsg", processid=a, errors=["broken"])

    states = [town.state(processid) for processid in found["processids"]]
    assert states == [SUCCESS, FAILED, FAILED, FAILED, FAILED]
    assert town.refused("e1", "closesuccessfulmsg", processid=sibling, out=[])[0] == 400
    assert graph(town, found["processgraphid"])["state"] == FAILED
    assert town.assign() is None


def test_a_failed_leaf_fails_alone(town: "Town") -> None:
    found = flow(town, node("a"), node("b"))
    a, b = (str(town.assign()) for _ in range(2))

    town.call("e1", "closefailedmsg", processid=a, errors=[])

    assert graph(town, found["processgraphid"])["state"] == FAILED
    town.close(b)
    assert [town.state(a), town.state(b)] == [FAILED, SUCCESS]


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        ([node("a"), node("")], "Nodename is missing"),
        ([node("a"), node("a")], "Duplicate nodename: a"),
        ([node("a"), node("b", "nobody")], "invalid dependencies"),
        ([node("a", "b"), node("b", "a")], "circle"),
        ([node("a"), {"nodename": "b", "conditions": {"executortype": "builder", "mem": "lots"}}], "converting memory"),
        ([node("a"), node("b", priority=60_000)], "priority"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_bad_workflow_is_refused_whole_and_blocks_nobody(
    town: "Town", nodes: list[dict[str, Any]], words: str
) -> None:
    status, message = refused(town, *nodes)

    assert status == 500
    assert words in message
    assert town.assign() is None
    assert town.call("user", "getprocessgraphsmsg", colonyname=COLONY, count=10, state=WAITING) is None
    assert town.submit() == town.assign()


def test_cancelling_ends_what_has_not_ended(town: "Town") -> None:
    found = flow(town, node("a"), node("b"), node("c", "b"))
    a, b = (str(town.assign()) for _ in range(2))
    town.close(a)
    assert town.refused("user", "cancelprocessmsg", processid=b)[0] == 400

    town.call("user", "cancelprocessgraphmsg", processgraphid=found["processgraphid"])

    assert [town.state(processid) for processid in found["processids"]] == [SUCCESS, CANCELLED, CANCELLED]
    listed = town.call("user", "getprocessgraphsmsg", colonyname=COLONY, count=10, state=CANCELLED)
    assert [each["processgraphid"] for each in listed] == [found["processgraphid"]]


def test_a_workflow_is_removed_with_its_processes_unless_it_runs(town: "Town") -> None:
    found = flow(town, node("a"))
    a = str(town.assign())
    assert town.refused("user", "removeprocessgraphmsg", processgraphid=found["processgraphid"])[0] == 400
    town.close(a)
    assert town.refused("user", "removeprocessmsg", processid=a)[0] == 400

    town.call("user", "removeprocessgraphmsg", processgraphid=found["processgraphid"])

    assert town.refused("user", "getprocessmsg", processid=a)[0] == 404
    assert town.refused("user", "getprocessgraphmsg", processgraphid=found["processgraphid"])[0] == 500


def test_all_workflows_of_a_state_are_removed(town: "Town") -> None:
    flow(town, node("a"))
    assert town.refused("owner", "removeallprocessgraphsmsg", colonyname=COLONY, state=RUNNING)[0] == 400
    town.call("owner", "removeallprocessgraphsmsg", colonyname=COLONY, state=SUCCESS)
    assert town.call("user", "getcolonystatsmsg", colonyname=COLONY)["waitingworkflows"] == 1

    town.call("owner", "removeallprocessgraphsmsg", colonyname=COLONY, state=-1)

    stats = town.call("user", "getcolonystatsmsg", colonyname=COLONY)
    assert (stats["waitingworkflows"], stats["waitingprocesses"]) == (0, 0)


def add_child(town: "Town", found: dict[str, Any], parent: str, name: str, **over: Any) -> str:
    spec = {"nodename": name, "conditions": {"colonyname": COLONY, "executortype": "builder"}}
    place = {"processgraphid": found["processgraphid"], "parentprocessid": parent}
    processid: str = town.call("e1", "addchildmsg", **{**place, "spec": spec, **over})["processid"]
    return processid


def test_a_running_process_adds_a_child_that_waits_for_it(town: "Town") -> None:
    found = flow(town, node("a"), node("b", "a"))
    a, b = found["processids"]
    town.assign()

    child = add_child(town, found, a, "child")
    town.close(a)

    assert {town.assign(), town.assign()} == {b, child}
    assert town.process(child)["parents"] == [a]
    assert graph(town, found["processgraphid"])["processids"] == [a, b, child]


def test_an_inserted_child_comes_between(town: "Town") -> None:
    found = flow(town, node("a"), node("b", "a"))
    a, b = found["processids"]
    town.assign()

    child = add_child(town, found, a, "between", insert=True)
    town.close(a)

    assert town.assign() == child
    assert town.assign() is None
    town.close(child)
    assert town.assign() == b
    assert town.process(b)["parents"] == [child]


def test_only_the_executor_of_a_running_parent_adds_children(town: "Town") -> None:
    found = flow(town, node("a"))
    a = found["processids"][0]
    spec = {"conditions": {"colonyname": COLONY, "executortype": "builder"}}
    place = {"processgraphid": found["processgraphid"], "parentprocessid": a, "spec": spec}
    assert "is not running" in town.refused("e1", "addchildmsg", **place)[1]
    town.assign("e1")

    assert "is not assigned" in town.refused("e2", "addchildmsg", **place)[1]
    assert town.refused("e1", "addchildmsg", **{**place, "processgraphid": "x"})[0] == 400
    assert town.refused("e1", "addchildmsg", **place, childprocessid="x")[0] == 400


def test_a_child_s_wait_counts_while_its_parents_run(town: "Town") -> None:
    found = flow(town, node("a"), node("b", "a", maxwaittime=1))
    a, b = found["processids"]
    town.assign()

    town.eventually(lambda: town.state(b) == FAILED, "the end of the wait")

    assert graph(town, found["processgraphid"])["state"] == FAILED
    town.close(a)


NAMES = ["a", "b", "c", "d", "e"]


@given(st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)), max_size=12))
def test_every_graph_is_walked_once_and_loops_are_seen(arrows: list[tuple[str, str]]) -> None:
    children = {name: sorted({end for start, end in arrows if start == name}) for name in NAMES}
    parents = {name: sorted({start for start, end in arrows if end == name}) for name in NAMES}
    nodes = {name: Node(name, name, State.WAITING, parents[name], children[name]) for name in NAMES}
    roots = [name for name in NAMES if not parents[name]]

    walked = [found.processid for found, _ in walk(nodes, roots)]

    assert len(walked) == len(set(walked))
    if is_acyclic(children):
        assert set(walked) == set(NAMES)
        assert {box["id"] for box in draw(nodes, roots)[0]} == set(NAMES)
    assert all(is_ready(nodes, nodes[name]) == (not parents[name]) for name in NAMES)


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([State.WAITING, State.WAITING], State.WAITING),
        ([State.RUNNING, State.WAITING], State.RUNNING),
        ([State.SUCCESS, State.WAITING], State.RUNNING),
        ([State.SUCCESS, State.SUCCESS], State.SUCCESS),
        ([State.SUCCESS, State.CANCELLED], State.CANCELLED),
        ([State.FAILED, State.CANCELLED], State.FAILED),
    ],
)
def test_the_state_of_a_workflow_follows_from_its_processes(states: list[State], expected: State) -> None:
    assert overall(states) == expected


def test_rows_of_the_drawing_are_centred() -> None:
    nodes = {
        "r": Node("r", "root", State.RUNNING, [], ["x", "y"]),
        "x": Node("x", "left", State.WAITING, ["r"], []),
        "y": Node("y", "right", State.WAITING, ["r"], []),
    }

    boxes, arrows = draw(nodes, ["r"])

    assert [box["position"] for box in boxes] == [{"x": 100, "y": 0}, {"x": 0, "y": 80}, {"x": 200, "y": 80}]
    assert [arrow["animated"] for arrow in arrows] == [True, True]
