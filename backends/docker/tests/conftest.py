"""Backends on the real engine that close what they opened."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("docker")

from container_executor_docker import DockerBackend

from container_executor.testing import require_engine

MakeBackend = Callable[..., DockerBackend]


@pytest.fixture
def engine() -> dict[str, str]:
    """The variables of the real engine."""
    return dict(require_engine("docker"))


@pytest.fixture
def make_backend(tmp_path: Path, owner: str, engine: dict[str, str]) -> Iterator[MakeBackend]:
    """Make backends of one owner with settings of their own."""
    made: list[DockerBackend] = []

    def make(**settings: Any) -> DockerBackend:
        common = {"owner": owner, "directory": tmp_path, "dev": True, "host": engine["CE_DOCKER_HOST"]}
        made.append(DockerBackend(**{**common, **settings}))
        return made[-1]

    yield make
    for backend in made:
        backend.close()
