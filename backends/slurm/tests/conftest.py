"""The rig of a real Slurm, and backends on it."""

import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from container_executor_slurm import SlurmBackend

from container_executor.testing import require_engine

MakeBackend = Callable[..., SlurmBackend]


@pytest.fixture(scope="session")
def rig() -> Mapping[str, str]:
    """What the rig printed; its commands come first on PATH."""
    found = require_engine("slurm")
    os.environ["PATH"] = f"{found['CE_SLURM_BIN']}:{os.environ['PATH']}"
    return found


@pytest.fixture(scope="session")
def slurm_folder(rig: Mapping[str, str]) -> Iterator[Path]:
    """A folder that the nodes see, for all tests of a session: images are made ready once."""
    folder = Path(rig["CE_SLURM_DIR"]) / f"tests-{secrets.token_hex(4)}"
    folder.mkdir()
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def make_backend(rig: Mapping[str, str], slurm_folder: Path) -> MakeBackend:
    """Make a backend on the rig, with settings of one's own."""

    def make(**settings: Any) -> SlurmBackend:
        known: dict[str, Any] = {
            "owner": secrets.token_hex(8),
            "shared": slurm_folder,
            "image_roots": (Path(rig["CE_SLURM_DIR"]) / "images",),
            "partition": rig["CE_SLURM_PARTITION"],
        }
        return SlurmBackend(**{**known, **settings})

    return make
