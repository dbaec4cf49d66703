"""The conformance suite on a real Slurm with two nodes."""

import os
import secrets
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

import pytest
from container_executor_slurm import SlurmBackend

from container_executor.testing import BackendConformance, Fresh


@pytest.mark.engine("slurm")
class TestSlurm(BackendConformance):
    image = os.environ.get("CE_SLURM_IMAGE", "")
    shellless_image = os.environ.get("CE_SLURM_IMAGE_NOSH", "")
    missing_image = f"{image}.does-not-exist"
    lifetime = timedelta(seconds=6)
    lacks: ClassVar[Mapping[str, str]] = {
        "held": "Slurm starts all ranks of a job together or none: there is nothing to hold",
    }

    @pytest.fixture
    def fresh(self, owner: str, make_backend: Callable[..., SlurmBackend]) -> Fresh:
        return lambda: make_backend(owner=owner)

    @pytest.fixture
    def broken(self, make_backend: Callable[..., SlurmBackend], tmp_path: Path) -> SlurmBackend:
        """A backend whose commands say what Slurm's say when the controller is gone."""
        for name in ("sbatch", "squeue", "sacct", "scancel", "sinfo"):
            command = tmp_path / name
            command.write_text(f"#!/bin/sh\necho '{name}: error: Unable to contact slurm controller' >&2\nexit 1\n")
            command.chmod(0o755)
        return make_backend(commands=tmp_path)

    @pytest.fixture
    def shared(self, slurm_folder: Path) -> Path:
        folder = slurm_folder / secrets.token_hex(4)
        folder.mkdir()
        return folder
