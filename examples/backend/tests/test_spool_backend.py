"""The spool backend passes the conformance suite."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

import pytest
from container_executor_spool import SpoolBackend

from container_executor.backend import Backend
from container_executor.testing import BackendConformance


class TestSpool(BackendConformance):
    patience = timedelta(seconds=20)
    on_host = True
    lacks: ClassVar[dict[str, str]] = {
        "ranks": "the spool runs one rank only and refuses more",
        "mounts": "jobs run on this machine's own file system; a spec with fs is refused",
        "memory": "nothing limits the memory of a program",
        "gpus": "the spool hands out no GPUs",
        "images": "there are no images: the image of a spec is ignored",
        "held": "with one rank there is nobody to wait for",
        "network": "with one rank there is nobody to meet",
        "nodes": "the spool is one machine",
        "read_only_mounts": "nothing is mounted",
    }

    @pytest.fixture
    def fresh(self, owner: str, tmp_path: Path) -> Callable[[], Backend]:
        return lambda: SpoolBackend(owner=owner, root=tmp_path)

    @pytest.fixture
    def broken(self, owner: str, tmp_path: Path) -> Backend:
        return SpoolBackend(owner=owner, root=tmp_path / "not" / "there")
