"""The client against a server that keeps what it is told: the embedded one, or the one that the environment names."""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import attrs
import pytest
from colonies import SERVER, SERVER_KEY

from container_executor.client import (
    BadCallError,
    Client,
    DeniedError,
    Executor,
    ExecutorState,
    FileRecord,
    Identity,
    NotFoundError,
    PausedError,
    Process,
    ProcessState,
    RefusedError,
    User,
)
from container_executor.server import Server

OWNER = Identity(SERVER_KEY) if SERVER else Identity.new()
KIND = "container-executor"
PATIENCE = 30.0


@attrs.frozen
class World:
    """A new colony with its people: clients of each."""

    server: Client
    owner: Client
    user: Client
    one: Client
    stranger: Client

    async def join(self, client: Client, name: str) -> None:
        """Register and approve an executor."""
        await self.owner.add_executor(Executor(name=name, id=client.identity.id, type=KIND, colony=client.colony))
        await self.owner.approve_executor(name)

    async def submit(self, **over: Any) -> Process:
        return await self.user.submit({"funcname": "execute", "conditions": {"executortype": KIND}, **over})

    async def run(self, **over: Any) -> Process:
        """Submit a process and have executor one take it."""
        submitted = await self.submit(**over)
        process = await self.one.assign(timeout=5)
        assert process is not None
        assert process.id == submitted.id
        return process


@asynccontextmanager
async def world(url: str) -> AsyncIterator[World]:
    """Make a colony on the server at *url*, with a user and an approved executor named one."""
    colony = "colony-" + secrets.token_hex(4)
    async with Client(url, colony, OWNER) as server:
        owner, user, one, stranger = (server.as_(Identity.new()) for _ in range(4))
        made = World(server, owner, user, one, stranger)
        await server.add_colony(colony, owner.identity.id)
        await owner.add_user(User("alice", user.identity.id))
        await made.join(one, "one")
        yield made
        await server.remove_colony(colony)


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[str]:
    """Yield the address of the server."""
    if SERVER:
        yield SERVER
    else:
        async with Server(folder / "db.sqlite", server_id=OWNER.id, durability="normal") as server:
            yield server.url


Play = Callable[[World], Awaitable[None]]


@pytest.fixture
def play(tmp_path: Path) -> Callable[[Play], None]:
    async def main(scene: Play) -> None:
        with anyio.fail_after(PATIENCE):
            async with serving(tmp_path) as url, world(url) as made:
                await scene(made)

    return lambda scene: anyio.run(main, scene)


async def members_and_executors(w: World) -> None:
    assert [user.name for user in await w.user.users()] == ["alice"]
    assert w.owner.colony in [colony.name for colony in await w.server.colonies()]
    two = w.owner.as_(Identity.new())
    hardware = {"cpu": "2000m", "mem": "4Gi", "nodes": 1}
    record = Executor(
        "two", two.identity.id, KIND, w.owner.colony, location="here", capabilities={"hardware": [hardware]}
    )

    added = await w.owner.add_executor(record)

    assert (added.state, added.location, added.last_heard) == (ExecutorState.PENDING, "here", None)
    assert added.capabilities["hardware"][0]["cpu"] == "2000m"
    with pytest.raises(DeniedError):
        await two.assign(timeout=1)
    await w.owner.approve_executor("two")
    await w.owner.approve_executor("two")
    assert (await w.user.executor("two")).state is ExecutorState.APPROVED
    await two.update_capabilities("two", {"hardware": [], "software": [{"name": "x", "type": "y", "version": "1"}]})
    await two.report_allocation("two", {"projects": {}})
    assert (await w.user.executor("two")).capabilities["hardware"] == []
    assert await two.keep_alive() is None
    assert (await w.user.executor("two")).last_heard is not None
    await w.owner.reject_executor("two")
    await w.owner.remove_executor("two")
    states = {executor.name: executor.state for executor in await w.user.executors()}
    assert states == {"one": ExecutorState.APPROVED, "two": ExecutorState.UNREGISTERED}
    with pytest.raises(NotFoundError):
        await w.user.executor("nobody")
    with pytest.raises(DeniedError):
        await w.user.approve_executor("two")


async def functions(w: World) -> None:
    added = await w.one.add_function("one", KIND, "execute", "runs containers")
    assert [(f.id, f.name, f.executor_type) for f in await w.user.functions("one")] == [(added.id, "execute", KIND)]
    await w.one.remove_function(added.id)
    assert await w.user.functions("one") == []


async def a_life(w: World) -> None:
    submitted = await w.submit(label="mine", env={"K": "v"}, kwargs={"n": 2**53, "é": "😀 <&>"})
    assert submitted.state is ProcessState.WAITING
    assert (submitted.colony, submitted.started, submitted.initiator_id) == (w.user.colony, None, w.user.identity.id)
    assert submitted.spec["maxexectime"] == -1
    assert submitted.spec["kwargs"] == {"n": 2**53, "é": "😀 <&>"}
    assert [p.id for p in await w.user.processes(ProcessState.WAITING, label="mine")] == [submitted.id]

    process = await w.one.assign(timeout=5, cpu=1000, memory=2**30)

    assert process is not None
    assert (process.id, process.executor_id, process.attempt) == (submitted.id, w.one.identity.id, 0)
    assert process.started is not None
    assert abs(process.started - w.one.server_now()) < timedelta(seconds=3)
    assert abs(datetime.now(UTC) - w.one.server_now()) < timedelta(seconds=3)
    assert [p.id for p in await w.one.running_on(w.one.identity.id)] == [process.id]
    await w.one.add_log(process.id, "first\n")
    await w.one.add_log(process.id, "a\0b 😀 \ud800 <&>\n")
    first, second = await w.user.logs(process.id)
    assert (first.message, first.executor, second.message) == ("first\n", "one", "ab 😀 \ufffd <&>\n")
    assert [e.message for e in await w.user.logs(process.id, since=first.timestamp)] == [second.message]
    assert [e.message for e in await w.user.logs(process.id, count=1, latest=True)] == [second.message]
    assert first in await w.user.search_logs("irst")
    await w.one.add_executor_log("one", "from the executor\n")
    assert (await w.one.add_attribute(process.id, "k\0", "v")).key == "k"
    with pytest.raises(BadCallError):
        await w.one.add_attribute(process.id, "k", "again")
    await w.one.set_output(process.id, ["x"])
    await w.one.close_successful(process.id, ["y", {"k": [1.5, None]}])
    done = await w.user.process(process.id)
    assert (done.state, done.output, done.errors) == (ProcessState.SUCCESS, ["y", {"k": [1.5, None]}], ())
    assert {(a.kind, a.key, a.value) for a in done.attributes} == {(1, "k", "v"), (3, "K", "v")}
    assert done.ended is not None
    with pytest.raises(DeniedError, match="not running"):
        await w.one.add_log(process.id, "late\n")
    assert (await w.user.statistics()).successful_processes == 1


async def failing_cancelling_removing(w: World) -> None:
    failed = await w.run()
    await w.one.close_failed(failed.id, ["why\0", "exit code 3"])
    assert (await w.user.process(failed.id)).errors == ("why", "exit code 3")
    with pytest.raises(BadCallError, match="Tried to set failed process as successful"):
        await w.one.close_successful(failed.id, [])
    cancelled = await w.run()
    await w.user.cancel(cancelled.id)
    assert (await w.user.process(cancelled.id)).state is ProcessState.CANCELLED
    await w.user.remove(cancelled.id)
    for ask in (w.user.process, w.user.cancel):
        with pytest.raises(NotFoundError):
            await ask(cancelled.id)
    with pytest.raises(NotFoundError):
        await w.one.close_successful(cancelled.id, [])
    await w.owner.remove_all()
    assert await w.user.processes(ProcessState.FAILED) == []


async def who_may_not(w: World) -> None:
    with pytest.raises(DeniedError):
        await w.stranger.submit({"funcname": "f", "conditions": {"executortype": KIND}})
    with pytest.raises(DeniedError):
        await w.stranger.running_on(w.one.identity.id)
    with pytest.raises(DeniedError):
        await w.stranger.assign(timeout=1)
    with pytest.raises(RefusedError, match="executor not found"):
        await w.user.assign(timeout=1)


async def work_that_is_too_big_or_not_there(w: World) -> None:
    assert await w.one.assign(timeout=1) is None
    await w.submit(conditions={"executortype": KIND, "cpu": "2000m", "mem": "2Gi"})
    assert await w.one.assign(timeout=1, cpu=1000) is None
    assert await w.one.assign(timeout=1, memory=2**30) is None
    assert await w.one.keep_alive() is None
    assert await w.one.assign(timeout=1, cpu=2000, memory=2**31) is not None


async def pausing(w: World) -> None:
    await w.submit()
    assert await w.user.paused() is False
    await w.owner.pause()
    assert await w.user.paused() is True
    with pytest.raises(PausedError):
        await w.one.assign(timeout=1)
    with pytest.raises(PausedError):
        await w.one.keep_alive()
    await w.owner.resume()
    assert await w.one.assign(timeout=1) is not None


async def workflows(w: World) -> None:
    conditions = {"executortype": KIND}
    graph = await w.user.submit_workflow(
        [
            {"nodename": "a", "funcname": "execute", "conditions": conditions},
            {"nodename": "b", "funcname": "execute", "conditions": {**conditions, "dependencies": ["a"]}},
        ]
    )
    parent = await w.one.assign(timeout=5)
    assert parent is not None
    assert (parent.graph_id, graph.root_ids) == (graph.id, (parent.id,))
    await w.one.close_successful(parent.id, ["from a"])
    child = await w.one.assign(timeout=5)
    assert child is not None
    assert (child.id, child.input, parent.children) == (parent.children[0], ["from a"], (child.id,))
    assert [g.id for g in await w.user.graphs(ProcessState.RUNNING)] == [graph.id]
    await w.user.cancel_graph(graph.id)
    assert (await w.user.graph(graph.id)).state is ProcessState.CANCELLED
    await w.user.remove_graph(graph.id)


async def files(w: World) -> None:
    record = FileRecord("/data", "a.txt", 3, "ab" * 32, object="cd" * 32, bucket="b", server="localhost:9000")
    first = await w.user.add_file(record)
    second = await w.user.add_file(attrs.evolve(record, checksum="ef" * 32, size=4))
    below = await w.user.add_file(attrs.evolve(record, label="/data/sub", name="é <b>.txt"))
    assert second.revision > first.revision
    assert attrs.evolve(first, id="", revision=0, added=None) == record
    assert await w.user.file("/data", "a.txt") == second
    assert await w.user.revisions("/data", "a.txt") == [second, first]
    assert await w.user.file_by_id(below.id) == below
    assert [(f.name, f.size, f.object) for f in await w.user.files("/data")] == [("a.txt", 4, "cd" * 32)]
    assert {label.name: label.files for label in await w.user.labels()} == {"/data": 2, "/data/sub": 1}
    assert {label.name for label in await w.user.labels("/data", exact=True)} == {"/data", "/data/sub"}
    snapshot = await w.user.create_snapshot("/data", "snap")
    assert set(snapshot.file_ids) == {second.id, below.id}
    assert set((await w.user.snapshot(name="snap")).file_ids) == set((await w.user.snapshot(snapshot.id)).file_ids)
    assert [s.name for s in await w.user.snapshots()] == ["snap"]
    await w.user.remove_snapshot(snapshot.id)
    assert await w.user.snapshots() == []
    await w.user.remove_file(below.id)
    await w.user.remove_file(label="/data", name="a.txt")
    assert await w.user.files("/data") == []
    with pytest.raises(NotFoundError):
        await w.user.file("/data", "a.txt")


async def subscribing(w: World) -> None:
    process = await w.run()
    async with aclosing(w.user.subscribe(process.id, ProcessState.RUNNING, timedelta(seconds=10))) as events:
        assert (await anext(events)).id == process.id

    async def cancel() -> None:
        await anyio.sleep(0.3)
        await w.user.cancel(process.id)

    async with anyio.create_task_group() as group:
        group.start_soon(cancel)
        async for event in w.one.subscribe(process.id, ProcessState.CANCELLED, timedelta(seconds=10)):
            assert event.state is ProcessState.CANCELLED
            break
    nothing = [e async for e in w.user.subscribe(process.id, ProcessState.SUCCESS, timedelta(seconds=1))]
    assert nothing == []


async def much_at_once(w: World) -> None:
    process = await w.run()
    text = "x" * 3_000_000 + "\n"
    await w.one.add_log(process.id, text)
    assert (await w.user.logs(process.id))[0].message == text
    async with anyio.create_task_group() as group:
        for _ in range(100):
            group.start_soon(w.user.process, process.id)


SCENES: list[Play] = [
    members_and_executors,
    functions,
    a_life,
    failing_cancelling_removing,
    who_may_not,
    work_that_is_too_big_or_not_there,
    pausing,
    workflows,
    files,
    subscribing,
    much_at_once,
]


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_a_server_and_the_client_agree(play: Callable[[Play], None], scene: Play) -> None:
    play(scene)
