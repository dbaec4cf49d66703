"""The conformance suite on the process backend."""

from collections.abc import Callable
from pathlib import Path

import pytest
from container_executor_process import ProcessBackend

from container_executor.testing import BackendConformance


class TestProcess(BackendConformance):
    lacks = {
        "nodes": "all ranks run on this host",
        "images": "programs run on this host as they are; the image is ignored, and prepare says so",
        "gpus": "programs on this host can use its GPUs, but none can be reserved for one of them",
        "outage": "the engine is this host",
    }

    @pytest.fixture
    def fresh(self, owner: str, tmp_path: Path) -> Callable[[], ProcessBackend]:
        return lambda: ProcessBackend(owner=owner, directory=tmp_path / "jobs", dev=True)
