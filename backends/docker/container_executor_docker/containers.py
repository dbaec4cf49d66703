"""Asks Docker about our containers: few calls, and the end of one is asked for once."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import attrs
import docker.errors

from container_executor.models import Handle
from container_executor_docker.connection import Connection
from container_executor_docker.guard import OWNER
from container_executor_docker.labels import container_names, is_ours

FEW = 8
"""Containers that are inspected one by one; more of them are listed first."""

Inspected = Mapping[str, Any]


@attrs.define(eq=False)
class Containers:
    """What Docker says of our containers, kept where it cannot change any more.

    Attributes:
        connection: The engine.
        owner: Tells whose containers they are; those of others are treated as absent.
    """

    connection: Connection
    owner: Callable[[], str]
    _ended: dict[str, Inspected] = attrs.field(factory=dict)
    _running: dict[str, Inspected] = attrs.field(factory=dict)

    def of_jobs(self, handles: Collection[Handle]) -> Mapping[str, Sequence[Inspected]]:
        """Return the containers of many jobs, by job id; a job without any is left out."""
        names = {name: handle.job_id for handle in handles for name in container_names(handle)}
        states = self._states() if len(names) > FEW else None
        found: dict[str, list[Inspected]] = {}
        for name, job_id in names.items():
            container = self.inspect(name) if states is None else self._listed(name, states.get(name))
            if container is not None:
                found.setdefault(job_id, []).append(container)
        return found

    def inspect(self, name: str) -> Inspected | None:
        """Return what Docker says of one container, None where it has none of ours by that name."""
        if name in self._ended:
            return self._ended[name]
        try:
            container: Inspected = self.connection.api.inspect_container(name)
        except docker.errors.NotFound:
            return None
        if not is_ours(container["Config"]["Labels"], self.owner()):
            return None
        self._keep(name, container)
        return container

    def known_ended(self, name: str) -> bool:
        """Return whether a container is known to have ended. The engine is not asked."""
        return name in self._ended

    def forget(self, name: str) -> None:
        """Forget a container that was removed."""
        self._ended.pop(name, None)
        self._running.pop(name, None)

    def every(self, *, live: bool = False) -> Sequence[Mapping[str, Any]]:
        """Return the list of all our containers, or of the *live* ones: made and not ended."""
        filters: dict[str, Any] = {"label": f"{OWNER}={self.owner()}"}
        if live:
            filters["status"] = ["created", "running", "paused"]
        listed: Sequence[Mapping[str, Any]] = self.connection.api.containers(all=True, filters=filters)
        return listed

    def _states(self) -> Mapping[str, str]:
        return {name.lstrip("/"): container["State"] for container in self.every() for name in container["Names"]}

    def _listed(self, name: str, state: str | None) -> Inspected | None:
        if name in self._ended:
            return self._ended[name]
        if state is None:
            return None
        if state == "running" and name in self._running:
            return self._running[name]
        return self.inspect(name)

    def _keep(self, name: str, container: Inspected) -> None:
        self._running.pop(name, None)
        if container["State"]["Status"] == "exited":
            self._ended[name] = container
        elif container["State"]["Status"] == "running":
            self._running[name] = container
