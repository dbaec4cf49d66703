"""What a daemon is told so that it runs its jobs on one of the real engines of this machine."""

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

import attrs

from container_executor.testing import require_engine

ENGINES = ("process", "docker", "kube", "slurm")
DOCKER_OWNERS: list[str] = []
"""Everyone in whose name a daemon of this run used Docker."""


@attrs.frozen
class SiteOfTests:
    """A backend as a daemon of the tests uses it.

    Attributes:
        backend: Its name.
        options: The daemon's settings, each as ``path=value``.
        image: The image of every job: a busybox.
        slack: How many times as long as programs on this host its jobs may take.
    """

    backend: str
    options: tuple[str, ...]
    image: str = "busybox"
    slack: int = 1

    @property
    def owner(self) -> str:
        """In whose name its daemons use Docker."""
        (found,) = [option.partition("=")[2] for option in self.options if option.startswith("executor.owner=")]
        return found


def site_of(backend: str) -> SiteOfTests:
    """Return how a daemon uses *backend* here; skip the test where its engine is not up."""
    if backend == "process":
        return SiteOfTests(backend, ("backends.process.allow_host_execution=true",))
    found = require_engine(backend)
    return {"docker": _docker, "kube": _kube, "slurm": _slurm}[backend](found)


def _docker(found: Mapping[str, str]) -> SiteOfTests:
    options = {"host": found["CE_DOCKER_HOST"], "user": "65534:65534", "network": "none"}
    DOCKER_OWNERS.append(secrets.token_hex(8))
    owner = (f"executor.owner={DOCKER_OWNERS[-1]}",)
    return SiteOfTests("docker", _table("docker", options) + owner, found["CE_DOCKER_IMAGE"], slack=4)


def _kube(found: Mapping[str, str]) -> SiteOfTests:
    options = {
        "kubeconfig": os.environ["CE_KUBECONFIG"],
        "namespace": found["CE_KUBE_NAMESPACE"],
        "pvc": found["CE_KUBE_CLAIM"],
        "shared": found["CE_KUBE_CLAIM_DIR"],
        "user": "65534:65534",
    }
    return SiteOfTests("kube", _table("kube", options), found["CE_KUBE_IMAGE"], slack=6)


def _slurm(found: Mapping[str, str]) -> SiteOfTests:
    jobs = Path(found["CE_SLURM_DIR"])
    options = {
        "shared": str(jobs / f"daemon-{secrets.token_hex(4)}"),
        "image_roots": str(jobs / "images"),
        "partition": found["CE_SLURM_PARTITION"],
        "commands": found["CE_SLURM_BIN"],
    }
    Path(options["shared"]).mkdir()
    limits = (f"limits.image_roots={jobs / 'images'}",)
    return SiteOfTests("slurm", _table("slurm", options) + limits, found["CE_SLURM_IMAGE"], slack=6)


def _table(backend: str, settings: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(f"backends.{backend}.{name}={value}" for name, value in settings.items())
