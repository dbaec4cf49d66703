"""The rig of a real Kubernetes, and backends on it."""

import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("kubernetes")

from container_executor_kube import KubeBackend

from container_executor.testing import require_engine

MakeBackend = Callable[..., KubeBackend]


@pytest.fixture(scope="session")
def kube() -> Mapping[str, str]:
    """What the rig printed."""
    found = require_engine("kube")
    return {**found, **{key: value for key, value in os.environ.items() if key.startswith("CE_KUBECONFIG")}}


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
