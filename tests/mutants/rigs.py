"""The conformance suite over backends that pass it; the mutants are broken variants of these."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

import pytest
from container_executor_process import ProcessBackend
from container_executor_spool import SpoolBackend

from container_executor.backend import Backend
from container_executor.errors import RejectedError
from container_executor.models import JobSpec
from container_executor.testing import (
    AdoptCases,
    BackendConformance,
    CancelCases,
    EnvironmentCases,
    HealthCases,
    ImageCases,
    LimitCases,
    LogCases,
    PlanCases,
    RankCases,
    RemoveCases,
    Script,
    ScriptedBackend,
    ScriptedEngine,
    StatusCases,
    SubmitCases,
)
from tests.mutants.toy_shell import program


class SpoolRig(BackendConformance):
    """Real programs, one rank, no container."""

    kind: ClassVar[type[SpoolBackend]] = SpoolBackend
    patience = timedelta(seconds=30)
    quiet = timedelta(seconds=0.6)
    on_host = True
    lacks: ClassVar[dict[str, str]] = dict.fromkeys(
        ["ranks", "mounts", "read_only_mounts", "memory", "gpus", "images", "held", "network", "nodes"],
        "the spool refuses it",
    )

    @pytest.fixture
    def fresh(self, owner: str, tmp_path: Path) -> Callable[[], Backend]:
        return lambda: self.kind(owner=owner, root=tmp_path)

    @pytest.fixture
    def broken(self, owner: str, tmp_path: Path) -> Backend:
        return self.kind(owner=owner, root=tmp_path / "not" / "there")


class ProcessRig(BackendConformance):
    """Real programs in several ranks, with mounts."""

    kind: ClassVar[type[ProcessBackend]] = ProcessBackend
    patience = timedelta(seconds=30)
    quiet = timedelta(seconds=0.6)
    on_host = True
    netcat = "busybox nc"
    lacks: ClassVar[dict[str, str]] = dict.fromkeys(["images", "held", "nodes", "memory"], "these are host programs")

    @pytest.fixture
    def fresh(self, owner: str, tmp_path: Path) -> Callable[[], Backend]:
        return lambda: self.kind(owner=owner, directory=tmp_path / "jobs", dev=True)


class ScriptedRig(
    ImageCases,
    LimitCases,
    RankCases,
    EnvironmentCases,
    HealthCases,
    AdoptCases,
    RemoveCases,
    CancelCases,
    LogCases,
    StatusCases,
    SubmitCases,
    PlanCases,
):
    """Programs in memory: what needs images, a limit of memory, a barrier or two nodes."""

    kind: ClassVar[type[ScriptedBackend]] = ScriptedBackend
    patience = timedelta(seconds=30)
    quiet = timedelta(seconds=0.6)
    shellless_image = "shellless"
    many_lines = 5000
    lacks: ClassVar[dict[str, str]] = {
        "survival": "it lives in memory",
        "network": "there is none",
        "walltime": "left to the core",
    }

    def script(self, job: JobSpec) -> Script:
        """Give each job the program that its shell line stands for."""
        if job.image == self.missing_image:
            error = RejectedError("there is no such image", failure="image_not_found")
            return Script(prepare_errors=(error,))
        if job.image == self.shellless_image:
            return Script(submit_errors=(RejectedError("the image has no sh", failure="invalid_spec"),))
        return Script(program, held=any("echo started" in word for word in job.argv))

    @pytest.fixture
    def shared(self) -> None:
        """Programs in memory leave no files: witnesses are lines of output."""

    @pytest.fixture
    def engine(self) -> ScriptedEngine:
        """One site for all instances of a case."""
        return ScriptedEngine(self.script)

    @pytest.fixture
    def fresh(self, owner: str, engine: ScriptedEngine) -> Callable[[], Backend]:
        return lambda: self.kind(owner=owner, engine=engine)

    @pytest.fixture
    def broken(self, owner: str) -> Backend:
        return self.kind(owner=owner, engine=ScriptedEngine(available=False))
