"""Calls about executors and the functions that they say they serve."""

from collections.abc import Mapping
from typing import Any

from container_executor.client import parse
from container_executor.client.call import Call, Caller, about, many, nothing
from container_executor.client.errors import BadCallError, UnsendableError
from container_executor.client.models import Executor, Function

_OLD_SERVER = "Failed to add executor, invalid JSON"  # how servers before 1.9.6 refuse lists, and later ones objects


class ExecutorCalls(Caller):
    """Registering executors, and telling what they have and serve."""

    async def executors(self) -> list[Executor]:
        """Return the colony's executors, those that were unregistered too."""
        return await self._ask(Call("getexecutorsmsg", self._colony(), many(parse.executor), repeatable=True))

    async def executor(self, name: str) -> Executor:
        """Return an executor; :class:`NotFoundError` where the colony has none of that name."""
        read = about("executorname", name, parse.executor)
        return await self._ask(Call("getexecutormsg", self._named(name), read, repeatable=True))

    async def add_executor(self, executor: Executor | Mapping[str, Any]) -> Executor:
        """Register an executor, which then waits for approval. Needs the colony owner's key. Never repeated.

        Adding one whose name exists takes everything that it runs away from it. Make a new key for a new name: with the key of
        another executor, approving one approves both. Capabilities are sent as lists, and to servers before 1.9.6, which
        refuse those, as single objects.

        Args:
            executor: A value, or the server's own fields as a mapping.

        Raises:
            UnsendableError: The name is empty or has a colon, which breaks the listing of all executors of the colony.
        """
        record = _record(executor, self.colony)
        try:
            return await self._add(record)
        except BadCallError as error:
            old = _old_shape(record)
            if error.text != _OLD_SERVER or old == record:
                raise
            return await self._add(old)

    async def approve_executor(self, name: str) -> None:
        """Let an executor take work. Needs the colony owner's key."""
        await self._ask(Call("approveexecutormsg", self._named(name), nothing, repeatable=True))

    async def reject_executor(self, name: str) -> None:
        """Keep an executor from taking work. Needs the colony owner's key."""
        await self._ask(Call("rejectexecutormsg", self._named(name), nothing, repeatable=True))

    async def remove_executor(self, name: str) -> None:
        """Unregister an executor; what it runs is queued again. Needs the colony owner's key."""
        await self._ask(Call("removeexecutormsg", self._named(name), nothing))

    async def update_capabilities(self, name: str, capabilities: Mapping[str, Any]) -> None:
        """Replace what the executor *name*, which must be our own, says it has: lists ``hardware`` and ``software``."""
        fields = {**self._named(name), "capabilities": capabilities}
        await self._ask(Call("updateexecutormsg", fields, nothing, repeatable=True))

    async def report_allocation(self, name: str, allocations: Mapping[str, Any]) -> None:
        """Replace what projects may use of the executor *name*, which must be our own: an object ``projects``."""
        fields = {**self._named(name), "allocations": allocations}
        await self._ask(Call("reportallocationmsg", fields, nothing, repeatable=True))

    async def functions(self, executor_name: str) -> list[Function]:
        """Return the functions that an executor says it serves."""
        fields = self._named(executor_name)
        return await self._ask(Call("getfunctionsmsg", fields, many(parse.function), repeatable=True))

    async def add_function(self, executor_name: str, executor_type: str, name: str, description: str = "") -> Function:
        """Say that the executor *executor_name*, which must be our own, serves a function.

        Never repeated, for each call adds a row: look at :meth:`functions` first.
        """
        function = {"executorname": executor_name, "executortype": executor_type, "colonyname": self.colony}
        fields = {"fun": {**function, "funcname": name, "description": description}}
        return await self._ask(Call("addfunctionmsg", fields, about("funcname", name, parse.function)))

    async def remove_function(self, function_id: str) -> None:
        """Take back a function of our own."""
        await self._ask(Call("removefunctionmsg", {"functionid": function_id}, nothing))

    async def _add(self, record: dict[str, Any]) -> Executor:
        read = about("executorname", record["executorname"], parse.executor)
        return await self._ask(Call("addexecutormsg", {"executor": record}, read))

    def _colony(self) -> dict[str, Any]:
        return {"colonyname": self.colony}

    def _named(self, name: str) -> dict[str, Any]:
        return {"colonyname": self.colony, "executorname": name}


def _record(executor: Executor | Mapping[str, Any], colony: str) -> dict[str, Any]:
    record = _fields(executor) if isinstance(executor, Executor) else dict(executor)
    record["colonyname"] = record.get("colonyname") or colony
    record.pop("lastheardfromtime", None)  # stored as sent: an old one has the executor removed at once
    name = record.get("executorname")
    if not isinstance(name, str) or not name or ":" in name:
        raise UnsendableError(f"executorname: {name!r} is no name for an executor; use a-z, 0-9, '.' and '-'")
    return record


def _fields(executor: Executor) -> dict[str, Any]:
    return {
        "executorid": executor.id,
        "executortype": executor.type,
        "executorname": executor.name,
        "colonyname": executor.colony,
        "locationname": executor.location,
        "requirefuncreg": False,
        "capabilities": {"hardware": [], "software": [], **executor.capabilities},
        "allocations": {"projects": {}, **executor.allocations},
    }


def _old_shape(record: dict[str, Any]) -> dict[str, Any]:
    capabilities = record.get("capabilities")
    if not isinstance(capabilities, Mapping):
        return record
    first = {key: _first(value) for key, value in capabilities.items()}
    place = {"long": 0, "lat": 0, "desc": record.get("locationname", "")}
    return {**record, "capabilities": first, "location": record.get("location", place)}


def _first(value: Any) -> Any:
    if not isinstance(value, list | tuple):
        return value
    return value[0] if value else {}
