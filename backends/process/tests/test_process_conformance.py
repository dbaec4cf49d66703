"""The conformance suite on the process backend."""

import shlex
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar

import pytest
from container_executor_process import ProcessBackend
from container_executor_process.launcher import why_no_mounts
from container_executor_process.supervisor import limits

from container_executor.testing import BackendConformance

_NO_MOUNTS = {"mounts": f"this host lets this user mount nothing: {why_no_mounts()}"} if why_no_mounts() else {}
_NO_GROUPS = {} if limits.bases() else {"memory": "this user may not make control groups on this host"}


class TestProcess(BackendConformance):
    netcat = shlex.join([sys.executable, str(Path(__file__).with_name("process_netcat.py"))])
    on_host = True
    lacks: ClassVar[Mapping[str, str]] = {
        "nodes": "all ranks run on this host",
        "held": "all ranks are on this host and start together",
        "images": "programs run on this host as they are; the image is ignored, and prepare says so",
        "gpus": "programs on this host can use its GPUs, but none can be reserved for one of them",
        "outage": "the engine is this host",
        **_NO_MOUNTS,
        **_NO_GROUPS,
    }

    @pytest.fixture
    def fresh(self, owner: str, tmp_path: Path) -> Callable[[], ProcessBackend]:
        return lambda: ProcessBackend(owner=owner, directory=tmp_path / "jobs", dev=True)
