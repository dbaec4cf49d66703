"""The count of entries that have arrived, on which it hangs after a crash whether an entry is sent again."""

from typing import Any

import anyio
import attrs
from anyio.lowlevel import checkpoint

from container_executor.execute.clock import Bell
from container_executor.execute.decide import Sight
from container_executor.execute.monitor import Watched
from container_executor.execute.output.forward import Forwarder
from container_executor.execute.output.sending import Sender
from container_executor.execute.record import Forwarded
from container_executor.models import Handle, LogChunk, LogLine

HANDLE = Handle("a-job", "1", 1)


@attrs.define(eq=False)
class Server:
    """Keeps what is added; each answer takes a moment, in which other tasks go on."""

    entries: list[str] = attrs.field(factory=list)

    async def add_log(self, _process_id: str, text: str) -> None:
        self.entries.append(text)
        await anyio.sleep(0.02)

    async def logs(self, _process_id: str, **_which: Any) -> list[str]:
        return self.entries


@attrs.define(eq=False)
class Output:
    """Gives these chunks, one at each question, and keeps where each was asked to begin."""

    chunks: list[LogChunk]
    asked: list[str] = attrs.field(factory=list)

    async def logs(self, _handle: Handle, cursor: str, *, limit: int) -> LogChunk:
        assert limit > 0
        self.asked.append(cursor)
        return self.chunks.pop(0)


def forwarder(server: Server, output: Output, state: Forwarded, saved: list[Forwarded]) -> Forwarder:
    client: Any = server
    engine: Any = output
    sender = Sender(client, "p", state, saved.append, anyio.CapacityLimiter(2))
    return Forwarder(engine=engine, sender=sender, limit=1_000_000, live=lambda: 1, on_lost=lambda: None)


async def forward(made: Forwarder) -> None:
    async with anyio.create_task_group() as tasks:
        made.say("header", "begun")
        tasks.start_soon(made.flush)
        await checkpoint()  # the line of ours is under way, and the job is silent meanwhile
        made.start(tasks, Watched(HANDLE, Sight(status=None, submitted=0.0), Bell()), ranks=1)
        await made.finish(10)


def test_an_empty_answer_of_the_engine_does_not_undo_the_count_of_an_entry_under_way() -> None:
    server, saved = Server(), list[Forwarded]()
    output = Output([LogChunk((), cursor="0", end=False), LogChunk((LogLine(0, None, b"one"),), cursor="3", end=True)])
    made = forwarder(server, output, Forwarded(), saved)

    anyio.run(forward, made)

    assert server.entries == ["ColonyOS: begun\n", "one\n"]
    assert (made.sender.state.entries, made.sender.state.cursor) == (2, "3")
    assert [state.entries for state in saved if state.next] == [0, 1]


def test_a_line_of_ours_after_a_restart_waits_until_the_entry_under_way_is_settled() -> None:
    server, saved = Server(["one\n"]), list[Forwarded]()
    crashed = Forwarded(cursor="0", next=Forwarded(cursor="3", entries=1))
    output = Output([LogChunk((LogLine(0, None, b"two"),), cursor="7", end=True)])
    made = forwarder(server, output, crashed, saved)

    anyio.run(forward, made)

    assert server.entries == ["one\n", "ColonyOS: begun\n", "two\n"]
    assert output.asked == ["3"]
    assert (made.sender.state.entries, made.sender.state.cursor) == (3, "7")
