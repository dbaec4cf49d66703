"""Images: pulled as the site says, once for all, with the site's logins, and pinned for every launch."""

import base64
import json
import os
import socket
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import Any

import docker.errors
import pytest
from container_executor_docker import DockerBackend
from container_executor_docker.settings import Pull
from docker_support import MakeBackend, MakeJob, Registry

from container_executor.errors import BackendError, RejectedError, UnavailableError
from container_executor.execute.outcome import class_of
from container_executor.models import FailureClass, JobState, Progress
from container_executor.testing import require_engine
from container_executor.testing.bench import wait_for

pytestmark = pytest.mark.engine("docker")

PATIENCE_SECONDS = 30


def prepare(backend: DockerBackend, image: str, make_job: MakeJob, **fields: Any) -> tuple[str | None, list[str]]:
    """Return the pinned image, and what was reported on the way."""
    told: list[Progress] = []
    plan = backend.plan(make_job("true", image=image, **fields))
    return backend.prepare(plan, told.append, Event()), [progress.text for progress in told]


def refusal(backend: DockerBackend, image: str, make_job: MakeJob) -> tuple[FailureClass, str]:
    """Return the class and the words with which an image cannot be had."""
    with pytest.raises(BackendError) as caught:
        prepare(backend, image, make_job)
    return class_of(caught.value), str(caught.value)


@pytest.fixture
def absent(api: Any, registry: Registry) -> Iterator[str]:
    """An image that the engine does not have and the registry does."""
    yield registry.fresh
    for tag in {name for image in api.images() for name in image["RepoTags"] or () if registry.address in name}:
        api.remove_image(tag, force=True)


@pytest.fixture
def private(api: Any) -> Iterator[Mapping[str, str]]:
    """The registry with a login, whose image the engine does not have."""
    registry = require_engine("registry")
    yield registry
    with_login = registry["CE_REGISTRY_IMAGE"]
    try:
        api.remove_image(with_login, force=True)
    except docker.errors.ImageNotFound:
        return


def write_login(folder: Path, registry: Mapping[str, str], password: str) -> Path:
    """Write a config.json as `docker login` leaves it, and return its directory."""
    folder.mkdir(exist_ok=True)
    login = base64.b64encode(f"{registry['CE_REGISTRY_USER']}:{password}".encode()).decode()
    (folder / "config.json").write_text(json.dumps({"auths": {registry["CE_REGISTRY"]: {"auth": login}}}))
    (folder / "config.json").chmod(0o600)
    return folder


# --- when an image is pulled ------------------------------------------------------------------------------------------


def test_an_image_that_came_from_no_registry_runs(backend: DockerBackend, make_job: MakeJob) -> None:
    pinned, told = prepare(backend, "busybox:latest", make_job)

    assert pinned is not None
    assert told == []


def test_a_missing_image_is_pulled_once_and_pinned_by_its_digest(
    backend: DockerBackend, make_job: MakeJob, registry: Registry, absent: str
) -> None:
    pinned, told = prepare(backend, absent, make_job)
    asked = len(registry.asked)
    again, silent = prepare(backend, absent, make_job)

    assert pinned == f"{absent.removesuffix(':latest')}@{registry.digest}"
    assert told[0] == f"pulling {absent}"
    assert told[-1] == f"pulled {absent}"
    assert (again, silent, len(registry.asked)) == (pinned, [], asked)


def test_always_asks_the_registry_each_time(
    make_backend: MakeBackend, make_job: MakeJob, registry: Registry, absent: str
) -> None:
    backend = make_backend(pull=Pull.ALWAYS)
    first, _ = prepare(backend, absent, make_job)
    asked = len(registry.asked)

    assert prepare(backend, absent, make_job)[0] == first
    assert len(registry.asked) > asked
    assert len(registry.blobs()) == 2, "a configuration and a layer, once: the image had not changed"


def test_a_spec_that_rebuilds_its_image_asks_the_registry(
    backend: DockerBackend, make_job: MakeJob, registry: Registry, absent: str
) -> None:
    prepare(backend, absent, make_job)
    asked = len(registry.asked)

    prepare(backend, absent, make_job, pull=True)

    assert len(registry.asked) > asked


def test_never_takes_what_is_there_and_asks_nobody(
    make_backend: MakeBackend, make_job: MakeJob, registry: Registry, absent: str
) -> None:
    backend = make_backend(pull=Pull.NEVER)

    assert prepare(backend, "busybox:latest", make_job, pull=True)[0] is not None
    failure, words = refusal(backend, absent, make_job)
    assert failure is FailureClass.IMAGE_NOT_FOUND
    assert "pulls none" in words
    assert registry.asked == []


def test_twenty_jobs_that_want_a_new_image_cause_one_pull(
    backend: DockerBackend, make_job: MakeJob, registry: Registry, absent: str
) -> None:
    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(lambda _: prepare(backend, absent, make_job), range(20)))

    assert len({pinned for pinned, _ in answers}) == 1
    assert len(registry.blobs()) == 2, "a configuration and a layer, once"
    assert sum(f"pulled {absent}" in told for _, told in answers) == 1


def test_a_job_runs_on_the_digest_when_its_tag_has_moved_on(
    api: Any, backend: DockerBackend, make_job: MakeJob, registry: Registry
) -> None:
    image = registry.busybox
    pinned, _ = prepare(backend, image, make_job)
    before = api.inspect_image(image)["Id"]
    api.tag("entrypoint:latest", image.removesuffix(":latest"), "latest")
    assert api.inspect_image(image)["Id"] != before

    handle = backend.submit(backend.plan(make_job("true", image=pinned)), lifetime=None)
    status = wait_for_end(backend, handle)
    backend.remove(handle)
    for name in (image, pinned):
        api.remove_image(name, force=True)

    assert status.state is JobState.SUCCEEDED
    assert status.ranks[0].image_id == before


def wait_for_end(backend: DockerBackend, handle: Any) -> Any:
    def ended() -> Any:
        status = backend.status([handle]).get(handle.job_id)
        return status if status is not None and status.state.ended else None

    return wait_for(ended, timedelta(seconds=PATIENCE_SECONDS), "the end of the job")


def test_a_pull_ends_early_when_told_to(
    backend: DockerBackend, make_job: MakeJob, registry: Registry, absent: str
) -> None:
    stop = Event()
    stop.set()

    assert backend.prepare(backend.plan(make_job("true", image=absent)), lambda _progress: None, stop) is None
    assert prepare(backend, absent, make_job)[0] is not None


# --- logins -----------------------------------------------------------------------------------------------------------


def test_a_login_of_the_site_opens_a_private_registry(
    make_backend: MakeBackend, make_job: MakeJob, private: Mapping[str, str], tmp_path: Path
) -> None:
    logins = write_login(tmp_path / "logins", private, private["CE_REGISTRY_PASSWORD"])

    pinned, _ = prepare(make_backend(docker_config=logins), private["CE_REGISTRY_IMAGE"], make_job)

    assert pinned is not None
    assert pinned.endswith(private["CE_REGISTRY_DIGEST"])


def test_a_new_login_counts_without_a_restart(
    make_backend: MakeBackend, make_job: MakeJob, private: Mapping[str, str], tmp_path: Path
) -> None:
    backend = make_backend(docker_config=write_login(tmp_path / "logins", private, "wrong"))
    failure, _ = refusal(backend, private["CE_REGISTRY_IMAGE"], make_job)
    assert failure is FailureClass.IMAGE_AUTH

    write_login(tmp_path / "logins", private, private["CE_REGISTRY_PASSWORD"])

    assert prepare(backend, private["CE_REGISTRY_IMAGE"], make_job)[0] is not None


def test_no_login_and_no_file_of_logins_are_named(
    make_backend: MakeBackend, make_job: MakeJob, private: Mapping[str, str], tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "config.json").write_text("{}")

    failure, _ = refusal(make_backend(docker_config=tmp_path / "empty"), private["CE_REGISTRY_IMAGE"], make_job)
    assert failure is FailureClass.IMAGE_AUTH
    failure, words = refusal(make_backend(docker_config=tmp_path / "none"), private["CE_REGISTRY_IMAGE"], make_job)
    assert failure is FailureClass.IMAGE_AUTH
    assert str(tmp_path / "none" / "config.json") in words


def test_a_password_is_in_no_plan_progress_argument_list_or_message(
    make_backend: MakeBackend, make_job: MakeJob, private: Mapping[str, str], tmp_path: Path
) -> None:
    password = private["CE_REGISTRY_PASSWORD"]
    backend = make_backend(docker_config=write_login(tmp_path / "logins", private, password))
    plan = backend.plan(make_job("true", image=private["CE_REGISTRY_IMAGE"]))

    _, told = prepare(backend, private["CE_REGISTRY_IMAGE"], make_job)
    _, words = refusal(backend, f"{private['CE_REGISTRY']}/private/no-such:latest", make_job)

    assert not any(password in text for text in (plan.render(), words, repr(backend), *told, *argument_lists()))


def argument_lists() -> list[str]:
    """Return the argument lists of this user's programs."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            found.append((place / "cmdline").read_text(errors="replace"))
        except OSError:
            continue
    assert any(str(os.getpid()) == place.name for place in Path("/proc").glob("[0-9]*"))
    return found


# --- what a registry can do wrong -------------------------------------------------------------------------------------


def test_an_image_that_no_registry_has_is_not_found(
    backend: DockerBackend, make_job: MakeJob, registry: Registry
) -> None:
    failure, words = refusal(backend, f"{registry.address}/public/busybox:no-such-tag", make_job)

    assert failure is FailureClass.IMAGE_NOT_FOUND
    assert "no-such-tag" in words


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_registry_that_asks_to_wait_or_is_broken_may_be_asked_again(
    backend: DockerBackend, make_job: MakeJob, registry: Registry, absent: str, status: int
) -> None:
    registry.status["/manifests/"] = status

    with pytest.raises(UnavailableError) as caught:
        prepare(backend, absent, make_job)

    assert class_of(caught.value) is FailureClass.IMAGE_TRANSIENT
    registry.status.clear()
    assert prepare(backend, absent, make_job)[0] is not None


def test_a_registry_that_is_away_may_be_asked_again(backend: DockerBackend, make_job: MakeJob) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

    failure, _ = refusal(backend, f"127.0.0.1:{port}/public/busybox:latest", make_job)

    assert failure is FailureClass.IMAGE_TRANSIENT


def test_an_error_in_the_middle_of_a_pull_is_an_error(
    backend: DockerBackend, make_job: MakeJob, registry: Registry, absent: str
) -> None:
    registry.status["/blobs/"] = 404

    with pytest.raises(RejectedError) as caught:
        prepare(backend, absent, make_job)

    assert str(caught.value).startswith(f"pull of {absent}: ")
    assert class_of(caught.value) is FailureClass.IMAGE_NOT_FOUND
