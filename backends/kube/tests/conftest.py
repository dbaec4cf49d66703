"""The rig of a real Kubernetes, and backends on it."""

import fcntl
import os
import secrets
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import pytest

pytest.importorskip("kubernetes")

from container_executor_kube import KubeBackend

from container_executor.testing import require_engine

MakeBackend = Callable[..., KubeBackend]


@pytest.fixture(scope="session")
def kube() -> Mapping[str, str]:
    """What the rig printed."""
    found = require_engine("kube")
    return {**found, **{key: value for key, value in os.environ.items() if key.startswith("CE_KUBE")}}


@pytest.fixture
def make_backend(kube: Mapping[str, str]) -> Iterator[MakeBackend]:
    """Make a backend on the rig, with settings of one's own; all are closed afterwards."""
    made: list[KubeBackend] = []

    def make(**settings: Any) -> KubeBackend:
        known: dict[str, Any] = {
            "owner": secrets.token_hex(8),
            "dev": True,
            "kubeconfig": Path(kube["CE_KUBECONFIG"]),
            "namespace": kube["CE_KUBE_NAMESPACE"],
            "pvc": kube["CE_KUBE_CLAIM"],
            "shared": Path(kube["CE_KUBE_CLAIM_DIR"]),
        }
        made.append(KubeBackend(**{**known, **settings}))
        return made[-1]

    yield make
    for backend in made:
        backend.close()


@pytest.fixture(scope="session")
def turns() -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """Two files that all test processes on this machine lock: who comes next, and who is on the rig."""
    folder = Path(tempfile.gettempdir())
    with (folder / "ce-kube-next").open("ab") as following, (folder / "ce-kube-rig").open("ab") as rig:
        yield following, rig


@pytest.fixture
def alone() -> None:
    """Asked for by a test that stops a part of the rig: no other test is on the rig meanwhile."""


@pytest.fixture(autouse=True)
def _share_the_rig(request: pytest.FixtureRequest, turns: tuple[IO[bytes], IO[bytes]]) -> Iterator[None]:
    """Let a test that stops a part of the rig run while no other test is on it; all others run together."""
    following, rig = turns
    fcntl.flock(following, fcntl.LOCK_EX)
    fcntl.flock(rig, fcntl.LOCK_EX if "alone" in request.fixturenames else fcntl.LOCK_SH)
    fcntl.flock(following, fcntl.LOCK_UN)
    yield
    fcntl.flock(rig, fcntl.LOCK_UN)
