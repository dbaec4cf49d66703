"""Entries of the server's log: each once, in order, whatever replies are lost, and our own lines never move the output's place."""

from typing import cast

import anyio
import attrs
import pytest

from container_executor.client import Client, DeniedError, NoAnswerError
from container_executor.execute.output.excerpt import Part, Place
from container_executor.execute.output.sending import Line, ProcessLostError, Sender, compose
from container_executor.execute.record import Forwarded


@attrs.frozen
class Entry:
    message: str
    timestamp: int


@attrs.define(eq=False)
class ServersLog:
    """A server's log of one process: it can hold entries back, lose its replies, and know nobody."""

    entries: list[Entry] = attrs.field(factory=list)
    losing: int = 0
    """How many replies are lost; the entry is kept where the number is even."""
    known: bool = True
    held: anyio.Event | None = None
    waiting: anyio.Event = attrs.field(factory=anyio.Event)

    async def add_log(self, _process_id: str, text: str) -> None:
        if not self.known:
            raise DeniedError(403, "not yours")
        if self.held is not None:
            self.waiting.set()
            await self.held.wait()
        lost, self.losing = self.losing, max(0, self.losing - 1)
        if lost % 2 == 0:
            self.entries.append(Entry(text, len(self.entries) + 1))
        if lost:
            raise NoAnswerError("connection reset")

    async def logs(self, _process_id: str, *, since: int = 0, count: int = 100, latest: bool = False) -> list[Entry]:
        found = [entry for entry in self.entries if entry.timestamp > since]
        return found[-count:] if latest else found[:count]

    def text(self) -> str:
        return "".join(entry.message for entry in self.entries)


def sender(server: ServersLog, journal: list[Forwarded], state: Forwarded | None = None) -> Sender:
    client = cast("Client", server)
    return Sender(client, "4f1c", state or Forwarded(), journal.append, anyio.CapacityLimiter(4))


def part(text: str, cursor: str) -> Part:
    return Part(text, Place(cursor))


@pytest.mark.parametrize("losing", range(5))
def test_an_entry_is_there_once_whichever_replies_are_lost(losing: int) -> None:
    async def scenario() -> None:
        server, journal = ServersLog(losing=losing), list[Forwarded]()
        sending = sender(server, journal)
        for number in range(4):
            await sending.deliver(part(f"{number}\n", str(number)))

        assert server.text() == "0\n1\n2\n3\n"
        assert (sending.state.cursor, sending.state.entries, sending.state.sent) == ("3", 4, 8)

    anyio.run(scenario)


def test_each_entry_is_journaled_before_it_is_sent() -> None:
    async def scenario() -> None:
        server, journal = ServersLog(held=anyio.Event()), list[Forwarded]()
        sending = sender(server, journal)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(sending.deliver, part("one\n", "after one"))
            await server.waiting.wait()

            assert server.entries == []
            assert journal[-1].next is not None
            assert (journal[-1].cursor, journal[-1].next.cursor) == ("", "after one")
            tasks.cancel_scope.cancel()

    anyio.run(scenario)


@pytest.mark.parametrize("arrived", [True, False])
def test_a_restart_sends_what_was_under_way_only_if_it_has_not_arrived(*, arrived: bool) -> None:
    async def scenario() -> None:
        under_way = Forwarded(cursor="two", sent=8, entries=2)
        server = ServersLog([Entry("one\n", 1), *([Entry("two\n", 2)] if arrived else [])])
        sending = sender(server, [], Forwarded(cursor="one", sent=4, entries=1, next=under_way))
        sending.say("header", "adopted")
        await sending.deliver()

        assert sending.state.cursor == ("two" if arrived else "one")
        assert sending.state.next is None
        assert server.text().endswith("ColonyOS: adopted\n")
        assert sending.state.entries == len(server.entries)

    anyio.run(scenario)


def test_a_line_of_ours_that_waits_for_output_under_way_does_not_move_its_place_back() -> None:
    async def scenario() -> None:
        server, journal = ServersLog(held=anyio.Event()), list[Forwarded]()
        sending = sender(server, journal)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(sending.deliver, part("one\n", "after one"))
            await server.waiting.wait()
            sending.say("out", "3 files stored")
            tasks.start_soon(sending.deliver)
            await anyio.wait_all_tasks_blocked()
            assert server.held is not None
            server.held.set()

        assert server.text() == "one\nColonyOS: 3 files stored\n"
        assert sending.state.cursor == "after one"

    anyio.run(scenario)


def test_a_line_of_ours_is_said_once_and_begins_a_line() -> None:
    async def scenario() -> None:
        server = ServersLog()
        sending = sender(server, [])
        await sending.deliver(part("Password: ", "1"))
        for _ in range(2):
            sending.say("waiting", "waiting: for a node")
        await sending.deliver(part("ok\n", "2"))
        sending.say("waiting", "waiting: for a node")
        await sending.deliver()

        assert server.text() == "Password: ok\nColonyOS: waiting: for a node\n"

    anyio.run(scenario)


def test_a_process_that_is_not_ours_takes_no_output() -> None:
    async def scenario() -> None:
        sending = sender(ServersLog(known=False), [])
        with pytest.raises(ProcessLostError):
            await sending.deliver(part("one\n", "1"))

    anyio.run(scenario)


@pytest.mark.parametrize(
    ("text", "open_line", "entry"),
    [
        ("3\nnext\n", True, "3\nColonyOS: word\nnext\n"),  # the output ends its own line first
        ("3", True, "\nColonyOS: word\n3"),
        ("", True, "\nColonyOS: word\n"),
        ("next\n", False, "ColonyOS: word\nnext\n"),
    ],
)
def test_a_line_of_ours_tears_no_line_of_the_output_that_goes_on(text: str, entry: str, *, open_line: bool) -> None:
    assert compose([Line("name", "ColonyOS: word\n")], text, open_line=open_line) == entry
