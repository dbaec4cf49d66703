"""The rig of a real Slurm, and backends on it."""

import os
import secrets
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from container_executor_slurm import SlurmBackend

from container_executor.backend import Backend
from container_executor.testing import require_engine
from container_executor.testing.bench import Bench, wait_for

MakeBackend = Callable[..., SlurmBackend]
MakeBench = Callable[..., Bench]
Service = Callable[[str, str], None]
Run = Callable[..., str]

PATIENCE = timedelta(seconds=60)
_BACK = {"stop": "start", "fail": "start", "drain": "resume"}


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


@pytest.fixture
def make_bench(rig: Mapping[str, str], slurm_folder: Path, make_backend: MakeBackend) -> Iterator[MakeBench]:
    """Make a bench for a backend with settings of its own; afterwards nothing of its jobs is left."""
    folder = slurm_folder / secrets.token_hex(4)
    folder.mkdir()
    owners: set[str] = set()

    def make(**settings: Any) -> Bench:
        backend = make_backend(**settings)
        owners.add(backend.owner)
        return Bench(backend, rig["CE_SLURM_IMAGE"], PATIENCE, timedelta(seconds=1.2), folder)

    yield make
    for owner in owners:
        _sweep(make_backend(owner=owner))


def _sweep(backend: Backend) -> None:
    def empty() -> bool:
        found = backend.list_jobs()
        for job in found:
            backend.remove(job.handle)
        return not found

    wait_for(empty, PATIENCE, "the removal of all jobs")


@pytest.fixture
def bench(make_bench: MakeBench) -> Bench:
    """A bench on the rig as it is."""
    return make_bench()


@pytest.fixture
def service(rig: Mapping[str, str], make_bench: MakeBench) -> Iterator[Service]:
    """Do something to a daemon or a node, such as ``service("n2", "stop")``; undone before the jobs are swept up."""
    undo: list[tuple[str, str]] = []

    def act(name: str, action: str) -> None:
        if action in _BACK:
            undo.append((name, _BACK[action]))
        else:
            undo.remove((name, action))
        subprocess.run([rig["CE_SLURM_SERVICE"], name, action], check=True, timeout=120, stdin=subprocess.DEVNULL)

    yield act
    for name, action in [*undo]:
        act(name, action)


@pytest.fixture
def run(rig: Mapping[str, str]) -> Run:
    """Run one of Slurm's commands by hand and return what it printed."""

    def call(*argv: str) -> str:
        done = subprocess.run(argv, check=False, timeout=60, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        assert done.returncode == 0, f"{argv}: {done.stderr}"
        return done.stdout.strip()

    return call


@pytest.fixture
def shims(rig: Mapping[str, str], tmp_path: Path) -> Callable[[Mapping[str, str]], Path]:
    """Make a folder of Slurm's commands of which some are shell lines instead; ``$real`` is the real command."""

    def make(lines: Mapping[str, str]) -> Path:
        folder = tmp_path / secrets.token_hex(4)
        folder.mkdir()
        for real in Path(rig["CE_SLURM_BIN"]).iterdir():
            line = lines.get(real.name, 'exec "$real" "$@"')
            command = folder / real.name
            command.write_text(f"#!/bin/sh\nreal={real}\n{line}\n")
            command.chmod(0o755)
        return folder

    return make
