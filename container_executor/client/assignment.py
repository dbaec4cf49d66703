"""Calls with which an executor asks for work and stays known to the server."""

from datetime import timedelta

from container_executor.client import parse
from container_executor.client.call import Call, Caller, one
from container_executor.client.errors import NotFoundError
from container_executor.client.models import Process, ProcessState
from container_executor.client.reading import Reading

_AT_ONCE = -1
_MIB = 2**20


class AssignmentCalls(Caller):
    """Asking for work. Never repeated: an answer that was lost may have carried a process, see :meth:`Client.running_on`."""

    async def assign(
        self,
        *,
        timeout: int,
        cpu: int | None = None,
        memory: int | None = None,
    ) -> Process | None:
        """Wait up to *timeout* seconds for a process that needs no more than *cpu* and *memory*; None where there is none.

        Let it end by itself: when the call is cancelled or its answer is lost while there is work, the server has given the
        process away and does not take it back before its deadline. Only this call and :meth:`keep_alive` keep an executor
        registered; the server forgets one that is silent for 600 s. It polls apart from the other calls, one at a time for
        each identity. Keep *timeout* short (10 to 15 s): the server wakes one waiting executor for each new process, perhaps
        one that cannot take it, and does not look again at the end of a poll.

        Args:
            timeout: Seconds, at least 1.
            cpu: Free millicores, None for no bound.
            memory: Free bytes, counted in whole MiB; None for no bound.

        Raises:
            PausedError: The colony's assignments are paused.
            NoAnswerError: A process may have been assigned all the same. So after ProtocolError.
            ServerFaultError: Also while the server meets a broken workflow, for about 5 s each time; try again.
        """
        if timeout < 1:
            raise ValueError(f"assign waits at least 1 second, not {timeout}")
        return await self._assign(
            timeout, "" if cpu is None else f"{cpu}m", "" if memory is None else f"{memory // _MIB}Mi"
        )

    async def keep_alive(self) -> Process | None:
        """Stay registered without taking work: ask for processes that need less than nothing.

        Returns at once. The server refuses no spec with negative needs, so that it may answer with a process even so.
        """
        return await self._assign(_AT_ONCE, "-1m", "-1Mi")

    async def _assign(self, wait: int, cpu: str, memory: str) -> Process | None:
        fields = {"colonyname": self.colony, "timeout": wait, "availablecpu": cpu, "availablemem": memory}
        held = timedelta(seconds=max(0, wait))
        try:
            return await self._ask(Call("assignprocessmsg", fields, one(self._assigned), held=held))
        except NotFoundError as error:
            if error.status != 404:
                raise
            return None

    def _assigned(self, row: Reading) -> Process:
        row.same("assignedexecutorid", self.identity.id)
        process = parse.process(row)
        if process.state is not ProcessState.RUNNING:
            raise row.wrong("state", str(ProcessState.RUNNING.value))
        row.inner("spec").inner("conditions").same("colonyname", self.colony)
        return process
