"""Adds entries to the server's log of a process, each once, although the call that does it cannot be repeated safely.

A lost reply leaves it open whether the entry has arrived. So each entry is journaled before it is sent, with the number of entries
known to have arrived. Nobody but the assigned executor can add to a process's log, so counting the server's entries tells
whether the last one is among them.
"""

from collections.abc import Callable, Sequence

import anyio
import attrs

from container_executor.client import BadCallError, Client, DeniedError, NotFoundError
from container_executor.errors import ServerError
from container_executor.execute.clock import now
from container_executor.execute.output.excerpt import Part, Place
from container_executor.execute.output.text import PREFIX
from container_executor.execute.pauses import pauses
from container_executor.execute.record import Forwarded
from container_executor.logs import Logger

log = Logger(__name__)

PAGE = 500
"""Entries that one call of the server returns at most."""
PAUSE = 1.0
PAUSE_LIMIT = 20.0
"""Seconds before a server that did not answer is asked again: the first time, and at most."""


class ProcessLostError(Exception):
    """The server takes no more output: the process is not ours any more."""


@attrs.frozen
class Line:
    """A line of our own; one whose name has been said before is not said again."""

    name: str
    text: str


@attrs.define(eq=False)
class Sender:
    """The log of one process.

    Attributes:
        client: The server.
        process_id: Whose log it is.
        state: How far it has come; ``next`` is set while it is open whether an entry has arrived.
        save: Writes the state to the journal.
        senders: Bounds how many entries of all processes are under way, so that a slow log never delays other calls.
        sent_at: When the last entry had arrived, on the boot clock.
    """

    client: Client
    process_id: str
    state: Forwarded
    save: Callable[[Forwarded], None]
    senders: anyio.CapacityLimiter
    sent_at: float = 0.0
    _unsaid: list[Line] = attrs.field(factory=list)
    _sending: anyio.Lock = attrs.field(factory=anyio.Lock)
    _open_line: bool = False

    async def begin(self) -> None:
        """Note how long the log is already: an earlier attempt may have written into it.

        Raises:
            ServerError: The server did not answer.
        """
        latest = await self.client.logs(self.process_id, count=1, latest=True)
        self.state = attrs.evolve(self.state, since=latest[-1].timestamp if latest else 0)

    async def begin_anew(self) -> None:
        """Begin again at the start of the output of another launch."""
        async with self._sending:
            self.state = attrs.evolve(self.state, cursor="", pending={}, next=None)
            self.save(self.state)

    def say(self, name: str, text: str) -> None:
        """Queue a line of our own; one whose *name* has been said before is not repeated."""
        if name not in self.state.said and name not in (line.name for line in self._unsaid):
            self._unsaid.append(Line(name, f"{PREFIX}{text}\n"))

    @property
    def unsaid(self) -> bool:
        """Whether lines of our own wait."""
        return bool(self._unsaid)

    @property
    def busy(self) -> bool:
        """Whether an entry is under way."""
        return self._sending.locked()

    async def deliver(self, part: Part | None = None) -> float | None:
        """Add an entry of the lines that wait and of a part of the output, once all before it have arrived.

        Returns:
            The seconds that the server took for it, None where there was nothing to add.

        Raises:
            ProcessLostError: The server takes no more.
        """
        async with self._sending:
            await self._settle()
            lines, self._unsaid = self._unsaid, []
            text = part.text if part else ""
            entry = compose(lines, text, open_line=self._open_line)
            place = part.place if part else Place.of(self.state)
            if entry:
                return await self._enter(entry, self._after(place, text, lines))
            self.state = attrs.evolve(self.state, cursor=place.cursor, pending=dict(place.pending))
            return None

    def _after(self, place: Place, text: str, lines: Sequence[Line]) -> Forwarded:
        """Return what will hold once an entry has arrived."""
        return attrs.evolve(
            self.state,
            cursor=place.cursor,
            pending=dict(place.pending),
            sent=self.state.sent + len(text),
            said=(*self.state.said, *(line.name for line in lines)),
            entries=self.state.entries + 1,
        )

    async def _enter(self, entry: str, after: Forwarded) -> float:
        self.state = attrs.evolve(self.state, next=after)
        self.save(self.state)
        begun = now()
        await self._send(entry)
        self.state, self.sent_at, self._open_line = after, now(), not entry.endswith("\n")
        return self.sent_at - begun

    async def settle(self) -> None:
        """Find out, after a restart, whether the entry that was under way has arrived.

        Raises:
            ProcessLostError: The process is not ours any more.
        """
        async with self._sending:
            await self._settle()

    async def _settle(self) -> None:
        pending = self.state.next
        if pending is not None:
            self.state = pending if await self._has_arrived() else attrs.evolve(self.state, next=None)
            self.save(self.state)

    async def _send(self, entry: str) -> None:
        while True:
            try:
                async with self.senders:
                    await self.client.add_log(self.process_id, entry)
                return
            except (DeniedError, NotFoundError) as error:
                raise ProcessLostError from error
            except BadCallError as error:
                log.warning("the server refused output; it is left out", process=self.process_id, error=str(error))
                entry = f"{PREFIX}the server refused {len(entry)} characters of output: {error}\n"
            except ServerError as error:
                log.warning("output may not have arrived; asking the server", process=self.process_id, error=str(error))
                if await self._has_arrived():
                    return

    async def _has_arrived(self) -> bool:
        """Return whether the entry after those known has arrived, once the server has answered."""
        growing = pauses(PAUSE, PAUSE_LIMIT)
        while True:
            try:
                return await self._count() > self.state.entries
            except (DeniedError, NotFoundError) as error:
                raise ProcessLostError from error
            except ServerError as error:
                log.warning(
                    "the server does not answer; its log will be asked for again",
                    process=self.process_id,
                    error=str(error),
                )
            await anyio.sleep(next(growing))

    async def _count(self) -> int:
        found, since = 0, self.state.since
        while True:
            entries = await self.client.logs(self.process_id, since=since, count=PAGE)
            found += len(entries)
            if len(entries) < PAGE:
                return found
            since = entries[-1].timestamp


def compose(lines: Sequence[Line], text: str, *, open_line: bool) -> str:
    """Return the text of an entry: our own lines, each on a line of its own, and the output after them.

    Args:
        lines: Our own lines.
        text: The output.
        open_line: The entry before it ended in the middle of a line: that line is ended first, by the output if it does so.
    """
    own = "".join(line.text for line in lines)
    if not (own and open_line):
        return own + text
    rest_of_line, newline, after = text.partition("\n")
    return f"{rest_of_line}\n{own}{after}" if newline else f"\n{own}{text}"
