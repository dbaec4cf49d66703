"""Calls about processes: submit, look at, end."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import timedelta
from math import ceil
from typing import Any

from container_executor.client import parse, scrub
from container_executor.client.call import Call, Caller, about, many, nothing, one
from container_executor.client.errors import DeniedError, EmptyAnswerError, UnsendableError
from container_executor.client.models import Attribute, Process, ProcessState
from container_executor.client.reading import Reading

_OUT = 1  # the kind of attribute that is a result
_ALL_TIME = 100_000_000  # seconds; the history is asked by time of submission
_NO_LIMIT = -1


class ProcessCalls(Caller):
    """Submitting processes, reading them, and ending them."""

    async def submit(self, spec: Mapping[str, Any]) -> Process:
        """Queue a process. Never repeated: after :class:`NoAnswerError`, and after some refusals, it may be queued all the same.

        A missing colony is filled in, and a missing or zero maxexectime is sent as -1, no limit: the server would end such a
        process within a second.

        Raises:
            UnsendableError: A value in the spec cannot be sent unchanged, such as an integer beyond 2**53.
        """
        return await self._ask(Call("submitfuncspecmsg", {"spec": complete(spec, self.colony)}, one(parse.process)))

    async def process(self, process_id: str) -> Process:
        """Return a process; :class:`NotFoundError` where the server has no such."""
        read = about("processid", process_id, parse.process)
        return await self._ask(Call("getprocessmsg", {"processid": process_id}, read, repeatable=True))

    async def processes(
        self,
        state: ProcessState,
        *,
        count: int = 100,
        executor_type: str = "",
        label: str = "",
        initiator: str = "",
    ) -> list[Process]:
        """Return processes of the colony in *state*, at most *count* of at most 100, and of one filter at most.

        Waiting ones come in the order in which they will be assigned, running ones by start, others newest first. *initiator*
        is the name of a user.

        Raises:
            UnsendableError: More than one filter: the server would use only the first.
        """
        filters = {"executortype": executor_type, "label": label, "initiator": initiator}
        if sum(map(bool, filters.values())) > 1:
            raise UnsendableError("the server lists processes by one of executor type, label and initiator; give one")
        fields = {"colonyname": self.colony, "count": count, "state": state, **filters}
        return await self._ask(Call("getprocessesmsg", fields, many(parse.process), repeatable=True))

    async def running_on(self, executor_id: str) -> list[Process]:
        """Return all processes that run on an executor, for the server's belief is what counts after any lost answer."""
        fields = {
            "colonyname": self.colony,
            "executorid": executor_id,
            "seconds": _ALL_TIME,
            "state": ProcessState.RUNNING,
        }

        def read(row: Reading) -> Process:
            row.same("assignedexecutorid", executor_id)
            return parse.process(row)

        try:
            return await self._ask(Call("getprocesshistmsg", fields, many(read), repeatable=True))
        except EmptyAnswerError:  # what the Go server answers whoever is no member, with status 200
            raise DeniedError(403, "not a member of the colony", call="getprocesshistmsg") from None

    async def set_output(self, process_id: str, out: Sequence[Any]) -> None:
        """Replace the output of a running process. An empty list changes nothing."""
        await self._ask(Call("setoutputmsg", {"processid": process_id, "out": _output(out)}, nothing))

    async def close_successful(self, process_id: str, out: Sequence[Any]) -> None:
        """End a process as successful; an empty *out* keeps what :meth:`set_output` stored.

        Never repeated here: the server has no token for an assignment, so that a second close may hit the next attempt, and
        one that comes too late overwrites the output. Look at the process before closing it again.
        """
        await self._ask(Call("closesuccessfulmsg", {"processid": process_id, "out": _output(out)}, nothing))

    async def close_failed(self, process_id: str, errors: Sequence[str]) -> None:
        """End a process as failed, for good: the server never retries it. Never repeated here, as :meth:`close_successful`."""
        await self._ask(Call("closefailedmsg", {"processid": process_id, "errors": list(errors)}, nothing))

    async def add_attribute(self, process_id: str, key: str, value: str) -> Attribute:
        """Attach a result to a running process. Write-once: the same key again is a :class:`BadCallError`."""
        attribute = {
            "targetid": process_id,
            "targetcolonyname": self.colony,
            "attributetype": _OUT,
            "key": key,
            "value": value,
        }
        read = about("targetid", process_id, parse.attribute)
        return await self._ask(Call("addattributemsg", {"attribute": attribute}, read))

    async def cancel(self, process_id: str) -> None:
        """Cancel a waiting or running process. One of a graph is refused: cancel the graph."""
        await self._ask(Call("cancelprocessmsg", {"processid": process_id}, nothing))

    async def remove(self, process_id: str) -> None:
        """Delete a process that does not run and belongs to no graph, with its logs."""
        await self._ask(Call("removeprocessmsg", {"processid": process_id}, nothing))

    async def remove_all(self, state: ProcessState | None = None) -> None:
        """Delete all processes of the colony, or those in *state*. Needs the colony owner's key."""
        fields = {"colonyname": self.colony, "state": -1 if state is None else state}
        await self._ask(Call("removeallprocessesmsg", fields, nothing))

    def subscribe(self, process_id: str, state: ProcessState, timeout: timedelta) -> AsyncGenerator[Process, None]:
        """Yield the process whenever it enters *state*, at once if it is there already, until *timeout* has passed.

        Each subscription has a connection of its own, since two on one can bring the server down. It ends without a word when
        the time is over and when the connection breaks; and no event comes when a graph is cancelled, a sibling in a graph
        fails, or the executor is removed. So whoever waits must read the process now and then as well.
        """
        seconds = max(1, ceil(timeout.total_seconds()))
        fields = {
            "colonyname": self.colony,
            "processid": process_id,
            "executortype": "",
            "state": state,
            "timeout": seconds,
        }
        call = Call("subscribeprocessmsg", fields, about("processid", process_id, parse.process))
        return self._listen(call, timedelta(seconds=seconds))


def complete(spec: Mapping[str, Any], colony: str) -> dict[str, Any]:
    """Return *spec* as it is sent: its colony filled in, and no limit of time where it has none or zero.

    Go reads field names in any case, so they are looked for in any case.
    """
    filled: dict[str, Any] = scrub.free_json(spec, "spec")
    key = _spelling(filled, "maxexectime")
    filled[key] = filled.get(key) or _NO_LIMIT
    key = _spelling(filled, "conditions")
    conditions = filled.get(key) or {}
    if isinstance(conditions, dict):
        name = _spelling(conditions, "colonyname")
        filled[key] = {**conditions, name: conditions.get(name) or colony}
    return filled


def _spelling(fields: Mapping[str, Any], name: str) -> str:
    return next((key for key in fields if key.lower() == name), name)


def _output(out: Sequence[Any]) -> Any:
    return scrub.free_json(list(out), "out")
