"""Puts a planned job on the engine: all containers are made before the first starts, and none starts twice."""

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import docker.errors

from container_executor.errors import RejectedError, UnavailableError
from container_executor.models import FailureClass, Plan
from container_executor_docker.containers import Containers
from container_executor_docker.errors import ignored
from container_executor_docker.gpus import choose, device_request, taken_gpus
from container_executor_docker.guard import LABEL, end_labels
from container_executor_docker.jobfolder import JobFolder
from container_executor_docker.labels import GPUS, JOB, is_ours
from container_executor_docker.settings import GpuDriver


@attrs.frozen
class Made:
    """A container of a job.

    Attributes:
        id: Its id.
        new: It was made just now, and has never been started.
    """

    id: str
    new: bool


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

    def make(self, plan: Plan, lifetime: float | None) -> list[Made]:
        """Make the job's network and containers, those that are not there yet, and return the containers.

        Args:
            plan: The job.
            lifetime: Seconds until the guard ends it.
        """
        network = self._network(plan.request["network"]) if "network" in plan.request else ""
        labels = {} if lifetime is None else end_labels(lifetime)
        return [self._make_one(plan, part, network, labels) for part in plan.request["containers"]]

    def start(self, containers: Sequence[Made], folder: JobFolder) -> None:
        """Start the containers that have never been started. A failure stays in the container's state, as evidence."""
        for container in containers:
            if folder.refused or not (container.new or self._never_started(container.id)):
                continue
            try:
                self._api.start(container.id)
            except docker.errors.APIError:
                if not self._api.inspect_container(container.id)["State"].get("Error"):
                    raise
                return

    def _never_started(self, id_: str) -> bool:
        state = self._api.inspect_container(id_)["State"]
        return state["Status"] in ("created", "configured") and not state.get("Error")

    def _make_one(self, plan: Plan, part: Mapping[str, Any], network: str, labels: Mapping[str, str]) -> Made:
        body = with_network(part["body"], plan.job_id, network)
        body["Labels"] = {**body["Labels"], **labels}
        if "gpus" in plan.request:
            found = self._present(part["name"], plan)
            if found is not None:  # its own GPUs would count as taken
                return Made(found, new=False)
            self._give_gpus(body, plan.request["gpus"])
        try:
            return Made(self._create(body, part["name"]), new=True)
        except docker.errors.APIError:
            found = self._present(part["name"], plan)  # the name is taken, or what it was made of is gone by now
            if found is None:
                raise
            return Made(found, new=False)

    def _create(self, body: Mapping[str, Any], name: str) -> str:
        """Make a container. Of an image whose tag has moved on, containerd's image store keeps the digest without the name."""
        try:
            return str(self._api.create_container_from_config(body, name)["Id"])
        except docker.errors.ImageNotFound:
            digest = body["Image"].partition("@")[2]
            if not digest or not self._has_image(digest):
                raise
            return str(self._api.create_container_from_config({**body, "Image": digest}, name)["Id"])

    def _has_image(self, digest: str) -> bool:
        try:
            self._api.inspect_image(digest)
        except docker.errors.ImageNotFound:
            return False
        return True

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
        """Return the id of the job's network. An old Docker may make two of one name after a lost reply: the first counts."""
        if not self._networks(body):
            with ignored(409):  # an earlier submit's network came after all (dockerd 28 makes no second one of a name)
                self._api.create_network(
                    body["Name"],
                    driver=body["Driver"],
                    options=body["Options"],
                    internal=body["Internal"],
                    labels=body["Labels"],
                )
        made = sorted(self._networks(body), key=lambda network: (network["Created"], network["Id"]))
        if not made:
            words = f"a network named {body['Name']} is there, and it is not ours; remove it"
            raise RejectedError(words, failure=FailureClass.NEVER_STARTED.value)
        first, *others = made
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
