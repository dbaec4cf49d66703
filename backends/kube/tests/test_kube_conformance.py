"""The conformance suite on a real Kubernetes with two nodes."""

import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

import pytest

pytest.importorskip("kubernetes")

from container_executor_kube import KubeBackend

from container_executor.testing import BackendConformance, Fresh


@pytest.mark.engine("kube")
class TestKube(BackendConformance):
    image = os.environ.get("CE_KUBE_IMAGE", "busybox:latest")
    shellless_image = os.environ.get("CE_KUBE_NOSHELL", "")
    missing_image = f"{os.environ.get('CE_REGISTRY_OPEN', '127.0.0.1:5001')}/no-such:latest"
    file_owner = 65534
    lifetime = timedelta(seconds=8)
    lacks: ClassVar[Mapping[str, str]] = {
        "walltime": "a pod's deadline counts the pull of the image too; the core ends a program at its walltime",
        "output_excess": "Kubernetes itself cuts a termination message at 4096 bytes",
    }

    @pytest.fixture
    def fresh(self, owner: str, make_backend: Callable[..., KubeBackend]) -> Fresh:
        return lambda: make_backend(owner=owner)

    @pytest.fixture
    def broken(self, make_backend: Callable[..., KubeBackend], kube: Mapping[str, str], tmp_path: Path) -> KubeBackend:
        """A backend whose apiserver is not there: nobody listens on the discard port."""
        lines = Path(kube["CE_KUBECONFIG"]).read_text()
        server = lines.partition('"server": "')[2].partition('"')[0]
        config = tmp_path / "kubeconfig"
        config.write_text(lines.replace(server, "https://127.0.0.1:9"))
        return make_backend(kubeconfig=config)

    @pytest.fixture
    def shared(self, kube: Mapping[str, str]) -> Iterator[Path]:
        folder = Path(kube["CE_KUBE_CLAIM_DIR"]) / secrets.token_hex(4)
        folder.mkdir()
        folder.chmod(0o755)
        yield folder
        shutil.rmtree(folder, ignore_errors=True)
