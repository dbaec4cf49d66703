"""Nothing is left on the engine, and nothing of others is touched. This module runs last of those of this backend."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest
from container_executor_docker import DockerBackend
from container_executor_docker.errors import ignored
from docker_left import left
from docker_support import OWNERS, MakeBackend, MakeJob

from container_executor.models import JobState, Mark
from container_executor.testing.bench import wait_for

pytestmark = pytest.mark.engine("docker")

PATIENCE = timedelta(seconds=60)


def test_a_removed_job_leaves_no_container_network_volume_or_folder(
    api: Any, backend: DockerBackend, make_job: MakeJob, tmp_path: Path
) -> None:
    volumes = {volume["Name"] for volume in api.volumes()["Volumes"] or ()}
    image = with_volume(api)
    try:
        handle = backend.submit(backend.plan(make_job("true", image=image, processes_per_node=2)), lifetime=PATIENCE)
        wait_for(lambda: backend.status([handle])[handle.job_id].state is JobState.SUCCEEDED, PATIENCE, "the end")
        made = {mount["Name"] for mount in api.inspect_container(f"{handle.job_id}-0")["Mounts"] if "Name" in mount}
        assert made - volumes, "the image's volume is the case"

        backend.remove(handle)

        assert left(api, backend.owner) == []
        assert not made & {volume["Name"] for volume in api.volumes()["Volumes"] or ()}
        assert list((tmp_path / "jobs").iterdir()) == []
    finally:
        api.remove_image(image, force=True)


def with_volume(api: Any) -> str:
    """Make an image that declares a volume, and return its name."""
    container = api.create_container("busybox:latest", ["true"])
    api.commit(container, repository="ce-with-volume", tag="latest", changes=["VOLUME /data"])
    api.remove_container(container)
    return "ce-with-volume:latest"


def test_a_network_without_containers_is_a_job_that_can_be_removed(
    api: Any, backend: DockerBackend, make_job: MakeJob
) -> None:
    handle = backend.submit(backend.plan(make_job("sleep 60", processes_per_node=2)), lifetime=PATIENCE)
    for rank in range(2):
        api.remove_container(f"{handle.job_id}-{rank}", force=True)

    (found,) = backend.list_jobs()
    assert found.handle.job_id == handle.job_id
    backend.remove(found.handle)

    assert left(api, backend.owner) == []


def test_what_only_looks_like_ours_is_neither_listed_nor_removed(
    api: Any, backend: DockerBackend, make_job: MakeJob
) -> None:
    labels = {"container-executor.owner": backend.owner, "container-executor.job": "../../etc"}
    strange = api.create_container("busybox:latest", ["true"], labels=labels)
    try:
        assert backend.list_jobs() == []
    finally:
        api.remove_container(strange, force=True)


def test_two_networks_of_one_name_become_one(api: Any, backend: DockerBackend, make_job: MakeJob) -> None:
    plan = backend.plan(make_job("sleep 60", processes_per_node=2))
    body = plan.request["network"]
    api.create_network(body["Name"], driver="bridge", check_duplicate=False, labels=body["Labels"])
    with ignored(409):  # newer ones than dockerd 20.10 make no second one
        api.create_network(body["Name"], driver="bridge", check_duplicate=False, labels=body["Labels"])

    handle = backend.submit(plan, lifetime=PATIENCE)

    assert len(api.networks(names=[body["Name"]])) == 1
    assert len(api.inspect_network(api.networks(names=[body["Name"]])[0]["Id"])["Containers"]) == 2
    backend.remove(handle)
    assert left(api, backend.owner) == []


def test_the_jobs_of_a_lost_state_directory_are_found_by_their_marks(
    make_backend: MakeBackend, make_job: MakeJob, tmp_path: Path
) -> None:
    job = make_job("sleep 60")
    make_backend().submit(make_backend().plan(job), lifetime=PATIENCE)

    later = make_backend(directory=tmp_path / "new")
    (found,) = later.list_jobs()

    assert found.mark == job.mark == attrs.evolve(Mark(**attrs.asdict(job.mark)))
    later.remove(found.handle)
    assert later.list_jobs() == []


def test_no_test_of_this_backend_left_anything_on_the_engine(api: Any) -> None:
    assert {owner: things for owner in sorted(OWNERS) if (things := left(api, owner))} == {}
