"""The examples with files, as users know them, on each engine that can mount: the commands as they are typed, the specs as they are."""

import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import pytest
from colonies import DaemonProgram
from files import Rig, names

from container_executor.testing.engines import require_engine

Make = Callable[..., DaemonProgram]
SPECS = Path(__file__).parents[2] / "examples" / "specs"


@attrs.frozen
class SiteWithFiles:
    """Where an engine and its daemon keep what they share.

    Attributes:
        options: The daemon's settings, each as ``path=value``.
        image: A busybox there.
        files: The directory below which those of the jobs are.
    """

    options: tuple[str, ...]
    image: str
    files: Path


def _process(place: Path) -> SiteWithFiles:
    options = ("backends.process.allow_host_execution=true", f"cfs.fs_dir={place / 'cfs'}")
    return SiteWithFiles(options, "busybox", place / "cfs")


def _docker(place: Path) -> SiteWithFiles:
    lines = require_engine("docker")
    options = (f"backends.docker.host={lines['CE_DOCKER_HOST']}", "backends.docker.user=65534:65534")
    return SiteWithFiles((*options, f"cfs.fs_dir={place / 'cfs'}"), lines["CE_DOCKER_IMAGE"], place / "cfs")


def _kube(place: Path) -> SiteWithFiles:
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
    return SiteWithFiles(options, lines["CE_KUBE_IMAGE"], shared / place.name)


def _slurm(place: Path) -> SiteWithFiles:
    lines = require_engine("slurm")
    shared = Path(lines["CE_SLURM_DIR"]) / place.name
    options = (
        f"backends.slurm.shared={shared}",
        f"backends.slurm.partition={lines['CE_SLURM_PARTITION']}",
        f"cfs.fs_dir={shared / 'cfs'}",
        f"limits.image_roots={lines['CE_SLURM_DIR']}/images",
        f"backends.slurm.image_roots={lines['CE_SLURM_DIR']}/images",
    )
    return SiteWithFiles(options, lines["CE_SLURM_IMAGE"], shared / "cfs")


_SITES = {"process": _process, "docker": _docker, "kube": _kube, "slurm": _slurm}


@attrs.frozen
class User:
    """Types commands in a directory, as a user of the colony.

    Attributes:
        folder: The directory.
        environ: What the commands find in their environment.
        image: The image of the jobs, in place of that of the spec.
        daemon: Runs them.
    """

    folder: Path
    environ: dict[str, str]
    image: str
    daemon: DaemonProgram

    def types(self, *command: str) -> str:
        """Return what a command prints that ends well."""
        ended = subprocess.run(
            [sys.executable, "-m", "container_executor.cli", *command],
            cwd=self.folder, env=self.environ, capture_output=True, text=True, timeout=180, check=False,
        )  # fmt: skip
        assert ended.returncode == 0, ended.stdout + ended.stderr + self.daemon.log()
        return ended.stdout

    def submits(self, spec: str, *changes: str) -> tuple[list[str], list[str]]:
        """Return the sorted lines of a job and those about its directories."""
        given = [part for change in (f"kwargs.docker-image={self.image}", *changes) for part in ("--set", change)]
        lines = self.types("submit", "--follow", *given, str(SPECS / spec)).splitlines()
        about = "ColonyOS: Starting directory synchronization: "
        return (
            sorted(line for line in lines if not line.startswith("ColonyOS: ")),
            [line.removeprefix(about) for line in lines if line.startswith(about)],
        )


@pytest.fixture(params=_SITES)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def site(backend: str, tmp_path: Path) -> Iterator[SiteWithFiles]:
    """A place of our own on whatever the engine shares."""
    place = tmp_path / f"ce-cfs-{secrets.token_hex(4)}"
    place.mkdir()
    yield _SITES[backend](place)
    for variable in ("CE_KUBE_CLAIM_DIR", "CE_SLURM_DIR"):
        if variable in os.environ:
            shutil.rmtree(Path(os.environ[variable]) / place.name, ignore_errors=True)


@pytest.fixture
def user(
    backend: str, site: SiteWithFiles, rig: Rig, make_daemon: Make, access: tuple[dict[str, str], dict[str, str]]
) -> User:
    store, secret = access
    path = f"{os.environ['CE_SLURM_BIN']}:{os.environ['PATH']}" if backend == "slurm" else os.environ["PATH"]
    daemon = make_daemon(backend=backend, options=(*site.options, *(f"{key}={value}" for key, value in store.items())))
    daemon.start(**secret, PATH=path)
    folder = rig.folder / "user"
    folder.mkdir()
    config = folder / "site.toml"
    config.write_text("[cfs]\n" + "".join(f'{key.partition(".")[2]} = "{value}"\n' for key, value in store.items()))
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "EXECUTOR_"))},
        **rig.colony.environ(),
        **secret,
        "CONTAINER_EXECUTOR_CONFIG": str(config),
        "XDG_CACHE_HOME": str(rig.folder / "cache"),
    }
    return User(folder, environ, site.image, daemon)


@pytest.fixture
def access(store_options: tuple[str, ...], store_variables: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """The settings and the variables that lead to the store."""
    return dict(option.split("=", 1) for option in store_options), store_variables


def test_the_example_of_a_file_that_is_changed_between_two_jobs_runs_as_it_is_written(
    user: User, site: SiteWithFiles
) -> None:
    hello = user.folder / "hello"
    hello.mkdir()

    (hello / "hello.txt").write_text("Hello, World!\n")
    user.types("cfs", "sync", "-l", "hello", "-d", "hello")
    first, first_syncs = user.submits("cat_2x2.json")
    (hello / "hello.txt").write_text("ColonyOS rocks!\n")
    user.types("cfs", "sync", "-l", "hello", "-d", "hello")
    second, second_syncs = user.submits("cat_2x2.json")

    counted = "Label:/hello Dir:/cfs/hello Download:{} Upload:0 Conflicts:{} ConflictResolutionStrategy:{}"
    assert first == [f"[{rank}] Hello, World!" for rank in range(4)]
    assert second == [f"[{rank}] ColonyOS rocks!" for rank in range(4)]
    assert first_syncs == [counted.format(1, 0, "keepremote"), counted.format(0, 0, "keeplocal")]
    assert second_syncs == [counted.format(0, 1, "keepremote"), counted.format(0, 0, "keeplocal")]
    assert names(site.files) == ["hello"]


def test_the_example_of_the_tutorial_runs_as_it_is_written_and_results_come_back(
    user: User, site: SiteWithFiles
) -> None:
    myfiles = user.folder / "myfiles"
    myfiles.mkdir()

    (myfiles / "hello.txt").write_text("Hello world\n")
    user.types("cfs", "sync", "-l", "/myfiles", "-d", "./myfiles")
    labels = user.types("cfs", "ls")
    lines, _ = user.submits("cat.json")
    user.submits("cat.json", 'kwargs.cmd=cp "$1" /cfs/myfiles/copy.txt')
    user.types("cfs", "sync", "-l", "/myfiles", "-d", "./myfiles2")

    assert "/myfiles" in labels
    assert lines == ["Hello world"]
    assert (user.folder / "myfiles2" / "hello.txt").read_text() == "Hello world\n"
    assert (user.folder / "myfiles2" / "copy.txt").read_text() == "Hello world\n"
    assert names(site.files) == []
