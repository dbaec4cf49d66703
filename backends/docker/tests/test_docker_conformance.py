"""The docker backend keeps every promise of the contract, on a real engine."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import pytest

pytest.importorskip("docker")

from container_executor_docker import DockerBackend

from container_executor.testing import BackendConformance, Fresh


@pytest.mark.engine("docker")
class TestDocker(BackendConformance):
    shellless_image = os.environ.get("CE_DOCKER_NOSHELL", "")
    missing_image = f"{os.environ.get('CE_REGISTRY_OPEN', '127.0.0.1:5001')}/no-such:latest"
    file_owner = 65534
    lacks: ClassVar[dict[str, str]] = {
        "nodes": "one engine is one machine",
        "held": "all containers of a job are made before the first starts, so there is nothing to hold",
        "walltime": "Docker has no time limit of its own; the core ends a program at its walltime",
    }

    @pytest.fixture
    def fresh(self, make_backend: Callable[..., DockerBackend]) -> Fresh:
        return make_backend

    @pytest.fixture
    def broken(self, make_backend: Callable[..., DockerBackend], tmp_path: Path) -> DockerBackend:
        """A backend whose engine is not there."""
        return make_backend(host=f"unix://{tmp_path}/no.sock")

    @pytest.fixture
    def shared(self, tmp_path: Path) -> Path:
        folder = tmp_path / "shared"
        folder.mkdir(exist_ok=True)
        return folder
