"""Calls about logs."""

from container_executor.client import parse
from container_executor.client.call import Call, Caller, many, nothing
from container_executor.client.models import LogEntry
from container_executor.client.reading import Reading


class LogCalls(Caller):
    """Writing and reading the logs of processes and executors."""

    async def add_log(self, process_id: str, text: str) -> None:
        """Append to the log of a process that runs on us. Readers add no newline: end lines with one.

        Never repeated: whether a lost answer meant a lost entry is seen with :meth:`logs`. Send one at a time for a process;
        entries of calls side by side become visible out of order. NUL characters are left out.
        """
        await self._ask(Call("addlogmsg", {"processid": process_id, "message": text}, nothing))

    async def logs(self, process_id: str, *, since: int = 0, count: int = 500, latest: bool = False) -> list[LogEntry]:
        """Return entries of a process's log in order, the first *count* after *since*.

        Args:
            process_id: Whose.
            since: The timestamp of the last entry already known, nanoseconds.
            count: 1 to 500.
            latest: The newest *count* entries instead of the first.
        """

        def read(row: Reading) -> LogEntry:
            row.same("processid", process_id)
            entry = parse.log_entry(row)
            if entry.timestamp <= since and not latest:
                raise row.wrong("timestamp", f"one after {since}")
            return entry

        fields = {"colonyname": self.colony, "processid": process_id, "executorname": "", "count": count}
        return await self._ask(
            Call("getlogsmsg", {**fields, "since": since, "latest": latest}, many(read), repeatable=True)
        )

    async def search_logs(self, text: str, *, days: int = 1, count: int = 100) -> list[LogEntry]:
        """Return entries of the last *days* (at most 30) that contain *text*, at most *count* (at most 100).

        The server takes ``%`` and ``_`` in the text for wildcards.
        """
        fields = {"colonyname": self.colony, "text": text, "days": days, "count": count}
        return await self._ask(Call("searchlogsmsg", fields, many(parse.log_entry), repeatable=True))

    async def add_executor_log(self, name: str, text: str) -> None:
        """Append to the log of the executor *name*, which must be our own, without a process."""
        fields = {"colonyname": self.colony, "executorname": name, "message": text}
        await self._ask(Call("addexecutorlogmsg", fields, nothing))
