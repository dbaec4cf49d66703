"""Backends on the real engine that close what they opened, jobs for them, and a small registry that can misbehave."""

import contextlib
import json
import os
import secrets
import signal
import subprocess
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("docker")

import docker
from container_executor_docker import DockerBackend
from docker_spare import spare_engine
from docker_support import OWNERS, MakeBackend, MakeJob, Registry, Spare, guards

from container_executor.models import JobSpec, Mark
from container_executor.testing import require_engine
from container_executor.testing.bench import shell


@pytest.fixture
def owner() -> str:
    """An owner that no other test has."""
    return secrets.token_hex(8)


@pytest.fixture
def engine() -> Mapping[str, str]:
    """The variables of the real engine."""
    return require_engine("docker")


@pytest.fixture
def api(engine: Mapping[str, str]) -> Iterator[Any]:
    """The engine as its own SDK shows it."""
    client = docker.APIClient(base_url=engine["CE_DOCKER_HOST"], version="auto", timeout=60)
    yield client
    client.close()


@pytest.fixture
def make_backend(tmp_path: Path, owner: str, engine: Mapping[str, str]) -> Iterator[MakeBackend]:
    """Make backends of one owner with settings of their own; afterwards nothing of theirs is left."""
    made: list[DockerBackend] = []

    def make(**settings: Any) -> DockerBackend:
        common = {"owner": owner, "directory": tmp_path, "dev": True, "host": engine["CE_DOCKER_HOST"]}
        needed = json.loads(engine.get("CE_DOCKER_SETTINGS", "{}"))  # what an engine that is no dockerd needs
        made.append(DockerBackend(**{**common, **needed, **settings}))
        OWNERS.add(made[-1].owner)
        return made[-1]

    yield make
    for backend in made:
        OWNERS.add(backend.owner)
        backend.close()
        for pid in guards(backend.owner):  # one whose engine is gone for good would wait for it
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)


@pytest.fixture
def backend(make_backend: MakeBackend) -> Iterator[DockerBackend]:
    """A backend with the settings of a site that set nothing."""
    backend = make_backend()
    yield backend
    for found in backend.list_jobs():
        backend.remove(found.handle)


@pytest.fixture
def make_job(owner: str) -> MakeJob:
    """Make a new job that runs a shell line."""

    def make(line: str, **fields: Any) -> JobSpec:
        mark = Mark(owner=owner, colony="dev", process_id=secrets.token_hex(32))
        known = {"image": "busybox:latest", "argv": shell(line), "grace": timedelta(seconds=1), "mark": mark}
        return JobSpec(**{**known, **fields})

    return make


@pytest.fixture
def registry() -> Iterator[Registry]:
    """A way to the open registry that counts, and misbehaves when told to."""
    with Registry.before(require_engine("registry")["CE_REGISTRY_OPEN"]) as registry:
        yield registry


@pytest.fixture
def spare(engine: Mapping[str, str]) -> Iterator[Spare]:
    """Call the second engine, which a test may break; what it prints is its address."""
    with spare_engine(engine) as call:
        yield call


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A directory on a file system of two megabytes."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "small", place], check=False, capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip("only root can mount a small disk")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)
