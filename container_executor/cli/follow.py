"""Following a process: its log as it grows, until it has ended."""

import time
from collections.abc import Callable

import anyio
import attrs

from container_executor.cli.output import warn, write, write_line
from container_executor.client import Client, LogEntry, NoAnswerError, Process

PAGE = 500
"""Entries that one call returns at most."""
_SHORTEST, _LONGEST = 0.2, 1.0  # seconds between two looks
_PATIENCE = 120.0  # seconds that a server may be silent before following ends


async def follow(client: Client, process_id: str, show: Callable[[LogEntry], None]) -> Process:
    """Show the log of a process from its beginning until it has ended, and return it as it ended.

    A server that does not answer for a while is waited for.

    Raises:
        NoAnswerError: The server has not answered for two minutes.
    """
    reader = LogReader(client, process_id)
    pause, patience = _SHORTEST, _Patience()
    while True:
        try:
            process = await client.process(process_id)  # first, for a process is closed after the last line of its log
            entries = await reader.read()
        except NoAnswerError as error:
            patience.lost(error)
            await anyio.sleep(_LONGEST)
            continue
        patience.answered()
        for entry in entries:
            show(entry)
        if process.state.ended:
            return process
        pause = _SHORTEST if entries else min(pause * 1.5, _LONGEST)
        await anyio.sleep(pause)


@attrs.define(eq=False)
class LogReader:
    """Reads the log of a process, each entry once.

    Attributes:
        client: The server.
        process_id: Whose log.
    """

    client: Client
    process_id: str
    _since: int = 0
    _read: list[LogEntry] = attrs.field(factory=list)

    async def read(self) -> list[LogEntry]:
        """Return what came after what was returned before; what was read before a lost answer comes next time."""
        while len(await self._page()) == PAGE:
            pass
        entries, self._read = self._read, []
        return entries

    async def _page(self) -> list[LogEntry]:
        page = await self.client.logs(self.process_id, since=self._since, count=PAGE)
        self._since = max((entry.timestamp for entry in page), default=self._since)
        self._read += page
        return page


def entry_text(entry: LogEntry) -> None:
    """Print an entry for people."""
    write(entry.message)


def entry_line(entry: LogEntry) -> None:
    """Print an entry as one line of JSON."""
    fields = {"processid": entry.process_id, "time": entry.time, "timestamp": entry.timestamp}
    write_line({**fields, "executor": entry.executor, "message": entry.message})


class RankFilter:
    """Passes on the lines of one rank of a log in which lines begin with ``[rank] ``, without that label."""

    def __init__(self, rank: int, write: Callable[[str], None]) -> None:
        self._label = f"[{rank}] "
        self._write = write
        self._rest = ""

    def __call__(self, entry: LogEntry) -> None:
        """Pass on what of *entry* is the rank's."""
        *lines, self._rest = (self._rest + entry.message).split("\n")
        for line in lines:
            if line.startswith(self._label):
                self._write(line.removeprefix(self._label) + "\n")


class _Patience:
    """How long the server has been silent."""

    def __init__(self) -> None:
        self._since: float | None = None

    def answered(self) -> None:
        self._since = None

    def lost(self, error: NoAnswerError) -> None:
        if self._since is None:
            self._since = time.monotonic()
            warn(f"{error}; waiting for it")
        elif time.monotonic() - self._since > _PATIENCE:
            raise error
