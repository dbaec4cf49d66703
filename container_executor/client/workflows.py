"""Calls about workflows, which the server calls process graphs."""

from collections.abc import Mapping, Sequence
from typing import Any

from container_executor.client import parse
from container_executor.client.call import Call, Caller, about, many, nothing, one
from container_executor.client.models import ProcessGraph, ProcessState
from container_executor.client.processes import complete


class WorkflowCalls(Caller):
    """Submitting graphs of processes, reading them, and ending them."""

    async def submit_workflow(self, specs: Sequence[Mapping[str, Any]]) -> ProcessGraph:
        """Queue processes that depend on each other by ``nodename`` and ``conditions.dependencies``. Never repeated.

        A refusal may leave part of it queued, and then a broken graph disturbs assignments of the whole colony: check the
        specs before.
        """
        spec = {"colonyname": self.colony, "functionspecs": [complete(spec, self.colony) for spec in specs]}
        return await self._ask(Call("submitworkflowspecmsg", {"spec": spec}, one(parse.graph)))

    async def graph(self, graph_id: str) -> ProcessGraph:
        """Return a graph."""
        read = about("processgraphid", graph_id, parse.graph)
        return await self._ask(Call("getprocessgraphmsg", {"processgraphid": graph_id}, read, repeatable=True))

    async def graphs(self, state: ProcessState, *, count: int = 100) -> list[ProcessGraph]:
        """Return the colony's graphs in *state*, at most *count*."""
        fields = {"colonyname": self.colony, "count": count, "state": state}
        return await self._ask(Call("getprocessgraphsmsg", fields, many(parse.graph), repeatable=True))

    async def cancel_graph(self, graph_id: str) -> None:
        """Cancel all of a graph's processes that have not ended. Those that run get no event."""
        await self._ask(Call("cancelprocessgraphmsg", {"processgraphid": graph_id}, nothing))

    async def remove_graph(self, graph_id: str) -> None:
        """Delete a graph with its processes."""
        await self._ask(Call("removeprocessgraphmsg", {"processgraphid": graph_id}, nothing))
