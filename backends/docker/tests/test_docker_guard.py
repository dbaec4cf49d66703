"""The guard as a container of its own: it ends overdue jobs when daemon and daemon's machine are gone, and leaves after the last."""

import io
import secrets
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import docker.errors
import pytest
from container_executor_docker import DockerBackend
from container_executor_docker.guard_container import LABEL
from docker_support import PATIENCE, MakeBackend, MakeJob, Spare, ended, guards

from container_executor.errors import RejectedError
from container_executor.testing.bench import wait_for

pytestmark = [
    pytest.mark.engine("docker"),
    # requests leaves its end of a socket open when nobody is behind it any more
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]

_NEEDED = ("docker", "requests", "urllib3", "certifi", "idna", "charset_normalizer")
_LEFT_OUT = (
    "test",
    "idlelib",
    "ensurepip",
    "lib2to3",
    "site-packages",
    "dist-packages",
    "__pycache__",
    "tkinter",
    "pydoc_data",
    "lib-dynload",
    "distutils",
    "asyncio",
)


@pytest.fixture(scope="module")
def python_root(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A root folder with the Python of this machine and the packages that the guard imports, as tar."""
    binary, stdlib = Path(sys._base_executable), Path(sysconfig.get_path("stdlib"))  # type: ignore[attr-defined]
    extensions = [file for file in stdlib.glob("lib-dynload/*.so") if not file.name.startswith(("_test", "_tk"))]
    made, folder = io.BytesIO(), tmp_path_factory.mktemp("python")
    with tarfile.open(fileobj=made, mode="w") as tar:
        tar.add(stdlib, f"usr/lib/{stdlib.name}", filter=_kept)
        for name in _NEEDED:
            tar.add(Path(sysconfig.get_path("purelib")) / name, f"usr/lib/{stdlib.name}/{name}", filter=_kept)
        tar.add(_small(binary, folder), "usr/bin/python3")
        for file in extensions:
            tar.add(_small(file, folder), f"usr/lib/{stdlib.name}/lib-dynload/{file.name}")
        for library in _libraries(binary, *extensions):
            tar.add(_small(library, folder), str(library).lstrip("/"))
    return made.getvalue()


def _kept(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    name = Path(entry.name).name
    return None if name in _LEFT_OUT or name.startswith("config-") else entry


def _small(file: Path, folder: Path) -> Path:
    """Return a copy without what only debuggers need: the small engine has little room."""
    copy = folder / file.name
    shutil.copy(file.resolve(), copy)
    if shutil.which("strip"):
        subprocess.run(["strip", "--strip-unneeded", copy], check=True, capture_output=True)
    return copy


def _libraries(*files: Path) -> set[Path]:
    """Return the shared libraries that programs need, with the one that loads them."""
    words = subprocess.run(["ldd", *files], check=True, capture_output=True, text=True).stdout.split()
    return {Path(word) for word in words if word.startswith("/") and not word.endswith(":")}


@pytest.fixture
def guard_image(api: Any, python_root: bytes) -> Iterator[str]:
    name = f"ce-guard-image-{secrets.token_hex(4)}"
    changes = ["ENV PATH=/usr/bin", "ENV PYTHONHOME=/usr"]
    api.import_image_from_data(python_root, repository=name, tag="1", changes=changes)
    yield f"{name}:1"
    api.remove_image(f"{name}:1", force=True)


@pytest.fixture
def backend(make_backend: MakeBackend, engine: dict[str, str], guard_image: str) -> Iterator[DockerBackend]:
    """A backend whose guard is a container."""
    made = make_backend(guard_image=guard_image, guard_socket=engine["CE_DOCKER_SOCKET"], network="none")
    yield made
    for found in made.list_jobs():
        made.remove(found.handle)


def guard_containers(api: Any, owner: str) -> list[str]:
    found = api.containers(all=True, filters={"label": f"{LABEL}={owner}"})
    return [container["Names"][0].lstrip("/") for container in found]


def test_it_ends_overdue_jobs_serves_all_and_leaves_after_the_last(
    api: Any, backend: DockerBackend, make_job: MakeJob, owner: str
) -> None:
    short = backend.submit(backend.plan(make_job("trap '' TERM; sleep 60")), lifetime=timedelta(seconds=4))
    others = [backend.submit(backend.plan(make_job("sleep 60")), lifetime=PATIENCE) for _ in range(2)]

    assert guard_containers(api, owner) == [f"ce-guard-{owner}"]
    assert guards(owner) == [], "no program beside the daemon"
    assert [found.handle.job_id for found in backend.list_jobs()].count(f"ce-guard-{owner}") == 0
    assert [rank.exit_code for rank in ended(backend, short).ranks] == [137]
    for handle in (short, *others):
        backend.remove(handle)
    wait_for(lambda: not guard_containers(api, owner), PATIENCE, "the guard's leaving")
    later = backend.submit(backend.plan(make_job("true")), lifetime=PATIENCE)
    assert guard_containers(api, owner) == [f"ce-guard-{owner}"]
    backend.remove(later)
    api.remove_container(f"ce-guard-{owner}", force=True)


def test_the_next_submit_replaces_one_that_somebody_removed(
    api: Any, backend: DockerBackend, make_job: MakeJob, owner: str
) -> None:
    first = backend.submit(backend.plan(make_job("sleep 60")), lifetime=timedelta(seconds=6))
    api.remove_container(f"ce-guard-{owner}", force=True)

    second = backend.submit(backend.plan(make_job("true")), lifetime=PATIENCE)

    assert [rank.exit_code for rank in ended(backend, first).ranks] == [143]
    for handle in (first, second):
        backend.remove(handle)
    api.remove_container(f"ce-guard-{owner}", force=True)


def test_it_outlives_a_restart_of_dockerd(
    make_backend: MakeBackend, make_job: MakeJob, spare: Spare, python_root: bytes, owner: str
) -> None:
    host = spare("up")
    api = docker.APIClient(base_url=host, version="auto", timeout=60)
    backend = make_backend(host=host, guard_image="guard:1", guard_socket=host.removeprefix("unix://"), network="none")
    try:
        api.import_image_from_data(
            python_root, repository="guard", tag="1", changes=["ENV PATH=/usr/bin", "ENV PYTHONHOME=/usr"]
        )
        handle = backend.submit(backend.plan(make_job("sleep 60")), lifetime=timedelta(seconds=12))
        spare("kill")
        spare("up")

        assert [rank.exit_code for rank in ended(backend, handle).ranks] == [143]
        backend.remove(handle)
    finally:
        api.close()


def test_an_image_that_the_engine_does_not_have_is_named(
    make_backend: MakeBackend, make_job: MakeJob, engine: dict[str, str]
) -> None:
    backend = make_backend(guard_image="no-such-guard:1", guard_socket=engine["CE_DOCKER_SOCKET"])

    with pytest.raises(RejectedError, match="the guard cannot run in no-such-guard:1: No such image"):
        backend.submit(backend.plan(make_job("true")), lifetime=PATIENCE)

    (fault,) = [fault for fault in backend.probe().faults if "guard_image" in fault.what]
    assert fault.fatal
    assert "docker pull no-such-guard:1" in fault.fix
    for found in backend.list_jobs():
        backend.remove(found.handle)


def test_an_image_without_python_is_named(
    api: Any, make_backend: MakeBackend, make_job: MakeJob, engine: dict[str, str], owner: str
) -> None:
    backend = make_backend(guard_image="busybox:latest", guard_socket=engine["CE_DOCKER_SOCKET"])

    with pytest.raises(RejectedError, match=r"the guard cannot run in busybox:latest: .*python3"):
        backend.submit(backend.plan(make_job("true")), lifetime=PATIENCE)

    assert guard_containers(api, owner) == []
    for found in backend.list_jobs():
        backend.remove(found.handle)
