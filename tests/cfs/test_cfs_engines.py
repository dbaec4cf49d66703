"""The first example with files, as users know it, on each engine: synchronise, submit, change the file, submit again."""

import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from colonies import DaemonProgram
from files import Rig, names

from container_executor.client import ProcessState
from container_executor.testing.engines import require_engine

Make = Callable[..., DaemonProgram]


def _docker(place: Path) -> tuple[tuple[str, ...], str]:
    lines = require_engine("docker")
    options = (f"backends.docker.host={lines['CE_DOCKER_HOST']}", "backends.docker.user=65534:65534")
    return (*options, f"cfs.fs_dir={place / 'cfs'}"), lines["CE_DOCKER_IMAGE"]


def _kube(place: Path) -> tuple[tuple[str, ...], str]:
    lines = require_engine("kube")
    shared = Path(lines["CE_KUBE_CLAIM_DIR"])
    options = (
        f"backends.kube.kubeconfig={os.environ['CE_KUBECONFIG']}",
        f"backends.kube.namespace={lines['CE_KUBE_NAMESPACE']}",
        f"backends.kube.pvc={lines['CE_KUBE_CLAIM']}",
        f"backends.kube.shared={shared}",
        "backends.kube.user=65534:65534",
        f"cfs.fs_dir={shared / place.name}",
    )
    return options, lines["CE_KUBE_IMAGE"]


def _slurm(place: Path) -> tuple[tuple[str, ...], str]:
    lines = require_engine("slurm")
    shared = Path(lines["CE_SLURM_DIR"]) / place.name
    options = (
        f"backends.slurm.shared={shared}",
        f"backends.slurm.partition={lines['CE_SLURM_PARTITION']}",
        f"cfs.fs_dir={shared / 'cfs'}",
        f"limits.image_roots={lines['CE_SLURM_DIR']}/images",
        f"backends.slurm.image_roots={lines['CE_SLURM_DIR']}/images",
    )
    return options, lines["CE_SLURM_IMAGE"]


_SITES = {"docker": _docker, "kube": _kube, "slurm": _slurm}


@pytest.fixture(params=[pytest.param(name, marks=pytest.mark.engine(name)) for name in _SITES])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def access(store_options: tuple[str, ...], store_variables: dict[str, str]) -> tuple[tuple[str, ...], dict[str, str]]:
    """The settings and the variables that lead to the store."""
    return store_options, store_variables


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A name of our own on whatever the engine shares."""
    made = tmp_path / f"ce-cfs-{secrets.token_hex(4)}"
    made.mkdir()
    yield made
    for variable in ("CE_KUBE_CLAIM_DIR", "CE_SLURM_DIR"):
        if variable in os.environ:
            shutil.rmtree(Path(os.environ[variable]) / made.name, ignore_errors=True)


def test_the_example_runs_as_it_is_written(
    backend: str, place: Path, rig: Rig, make_daemon: Make, access: tuple[tuple[str, ...], dict[str, str]]
) -> None:
    options, image = _SITES[backend](place)
    site = dict(option.split("=", 1) for option in options)
    daemon = make_daemon(backend=backend, options=(*options, *access[0]))
    path = f"{os.environ['CE_SLURM_BIN']}:{os.environ['PATH']}" if backend == "slurm" else os.environ["PATH"]
    daemon.start(**access[1], PATH=path)
    hello = rig.place("hello", {"hello.txt": "Hello, World!\n"})
    rig.sync(hello, "/hello")
    conflicts = {"onstart": {"keeplocal": False}, "onclose": {"keeplocal": True}}
    entry = {"label": "/hello", "dir": "/hello", "keepfiles": True, "onconflicts": conflicts}
    out = {"label": "/out", "dir": "/out/{processid}", "keepfiles": False, "onconflicts": conflicts}

    def run() -> str:
        process = rig.colony.submit(
            "cat /cfs/hello/hello.txt && cp /cfs/hello/hello.txt /cfs/out/{processid}/$RANK",
            image=image,
            conditions={"nodes": 2, "processespernode": 1, "mem": "64Mi", "cpu": "100m", "walltime": 90},
            maxexectime=100,
            fs={"mount": "/cfs", "dirs": [entry, out]},
        )
        ended = rig.colony.wait(process, patience=120)
        assert ended.state is ProcessState.SUCCESS, rig.colony.log(process) + daemon.log()
        return process

    first = run()
    (hello / "hello.txt").write_text("ColonyOS rocks!\n")
    rig.sync(hello, "/hello")
    second = run()

    assert sorted(rig.colony.output(first)) == ["[0] Hello, World!", "[1] Hello, World!"]
    assert sorted(rig.colony.output(second)) == ["[0] ColonyOS rocks!", "[1] ColonyOS rocks!"]
    assert rig.content("/out", "1") == b"ColonyOS rocks!\n"
    assert names(Path(site["cfs.fs_dir"])) == ["hello", "out"]
    assert names(Path(site["cfs.fs_dir"]) / "out") == []
