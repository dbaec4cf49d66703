"""Puts a planned job on the engine: all containers are made before the first starts, and none starts twice."""

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import docker.errors

from container_executor.errors import RejectedError, UnavailableError
from container_executor.models import FailureClass, Plan
from container_executor_docker.containers import Containers
from container_executor_docker.gpus import choose, device_request, taken_gpus
from container_executor_docker.guard import LABEL, end_labels
from container_executor_docker.jobfolder import JobFolder
from container_executor_docker.labels import GPUS, JOB, is_ours
from container_executor_docker.settings import GpuDriver


@attrs.frozen
class Launcher:
    """Makes and starts the containers of jobs.

    Attributes:
        containers: Our containers.
        gpu_driver: How GPUs are given.
    """

    containers: Containers
    gpu_driver: GpuDriver

    @property
    def _api(self) -> Any:
        return self.containers.connection.api

    def make(self, plan: Plan, lifetime: float | None) -> list[str]:
        """Make the job's network and containers, those that are not there yet, and return the containers' ids.

        Args:
            plan: The job.
            lifetime: Seconds until the guard ends it.
        """
        network = self._network(plan.request["network"]) if "network" in plan.request else ""
        labels = {} if lifetime is None else end_labels(lifetime)
        return [self._make_one(plan, part, network, labels) for part in plan.request["containers"]]

    def start(self, ids: Sequence[str], folder: JobFolder) -> None:
        """Start the containers that have never been started. A failure stays in the container's state, as evidence."""
        for id_ in ids:
            state = self._api.inspect_container(id_)["State"]
            if state["Status"] not in ("created", "configured") or state.get("Error") or folder.refused:
                continue
            try:
                self._api.start(id_)
            except docker.errors.APIError:
                if not self._api.inspect_container(id_)["State"].get("Error"):
                    raise
                return

    def _make_one(self, plan: Plan, part: Mapping[str, Any], network: str, labels: Mapping[str, str]) -> str:
        found = self._present(part["name"], plan)
        if found is not None:
            return found
        body = with_network(part["body"], plan.job_id, network)
        body["Labels"] = {**body["Labels"], **labels}
        if "gpus" in plan.request:
            self._give_gpus(body, plan.request["gpus"])
        try:
            return str(self._api.create_container_from_config(body, part["name"])["Id"])
        except docker.errors.APIError as error:
            found = self._present(part["name"], plan) if error.status_code == 409 else None
            if found is None:
                raise
            return found

    def _present(self, name: str, plan: Plan) -> str | None:
        """Return the id of the container that has *name* already.

        Raises:
            RejectedError: It is not this job's.
        """
        try:
            found = self._api.inspect_container(name)
        except docker.errors.NotFound:
            return None
        if not is_ours(found["Config"]["Labels"], plan.job.mark.owner, plan.job_id):
            words = f"a container named {name} is there, and it is not ours; remove it"
            raise RejectedError(words, failure=FailureClass.NEVER_STARTED.value)
        return str(found["Id"])

    def _give_gpus(self, body: dict[str, Any], wanted: Mapping[str, Any]) -> None:
        live = self.containers.every(live=True)
        chosen = choose(wanted["count"], wanted["of"], taken_gpus(live))
        if chosen is None:
            raise UnavailableError(f"fewer than {wanted['count']} of the GPUs {', '.join(wanted['of'])} are free")
        body["Labels"][GPUS] = ",".join(chosen)
        body["HostConfig"] = {**body["HostConfig"], **device_request(self.gpu_driver, ids=chosen)}

    def _network(self, body: Mapping[str, Any]) -> str:
        """Return the id of the job's network. Docker may make two of one name after a lost reply: the first one counts."""
        if not self._networks(body):
            self._api.create_network(
                body["Name"],
                driver=body["Driver"],
                options=body["Options"],
                internal=body["Internal"],
                labels=body["Labels"],
            )
        first, *others = sorted(self._networks(body), key=lambda network: (network["Created"], network["Id"]))
        for network in others:
            self._api.remove_network(network["Id"])
        return str(first["Id"])

    def _networks(self, body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        labels = body["Labels"]
        filters = {"label": [f"{name}={labels[name]}" for name in (JOB, f"{LABEL}.owner")]}
        return list(self._api.networks(filters=filters))


def with_network(body: Mapping[str, Any], name: str, network: str) -> dict[str, Any]:
    """Return a create body that names the job's network by its id, as names of networks are not unique."""
    changed = {**body, "HostConfig": dict(body["HostConfig"])}
    if network:
        endpoints = body["NetworkingConfig"]["EndpointsConfig"]
        changed["HostConfig"]["NetworkMode"] = network
        changed["NetworkingConfig"] = {"EndpointsConfig": {network: endpoints[name]}}
    return changed
