"""What of ours is on the Docker engine of the tests."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

OWNER = "container-executor.owner"


@contextmanager
def docker_api(engine: Mapping[str, str]) -> Iterator[Any]:
    """Yield a client of the engine that a rig's lines tell."""
    import docker

    client = docker.APIClient(base_url=engine["CE_DOCKER_HOST"], version="auto", timeout=60)
    try:
        yield client
    finally:
        client.close()


def containers(api: Any, owner: str, process_id: str = "") -> list[str]:
    """Return the names of the containers of an owner, those that have ended as well; of one process if it is named."""
    labels = [f"{OWNER}={owner}", *([f"container-executor.process_id={process_id}"] if process_id else ())]
    return [container["Names"][0].lstrip("/") for container in api.containers(all=True, filters={"label": labels})]


def left(api: Any, owner: str) -> list[str]:
    """Return the names of all that an owner has on the engine."""
    filters = {"label": f"{OWNER}={owner}"}
    networks = [network["Name"] for network in api.networks(filters=filters)]
    volumes = [volume["Name"] for volume in api.volumes(filters=filters)["Volumes"] or ()]
    return [*containers(api, owner), *networks, *volumes]
