"""A colony and a store, and what a user of the file system does with them: the same on the folder store and on S3."""

import os
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import obstore
import pytest
from colonies import Colony
from daemon_fixtures import colony, make_daemon, portal
from files import Rig, s3_settings
from resetting import Resetting

from container_executor.cfs import Hashes, Syncer
from container_executor.cfs.store import Store
from container_executor.cfs.stores import folder_store, open_store
from container_executor.testing.engines import require_engine

__all__ = ["colony", "make_daemon", "portal"]


@pytest.fixture(scope="session")
def bucket() -> Iterator[str]:
    name = f"ce-cfs-{uuid4().hex[:12]}"
    store = open_store(s3_settings(name))
    store.put(store.new_key(), b"makes the bucket")
    yield name
    _remove_bucket(store)


@pytest.fixture
def no_bucket() -> Iterator[str]:
    """The name of a bucket that is not there; what a test makes of it goes."""
    name = f"ce-cfs-{uuid4().hex[:12]}"
    yield name
    _remove_bucket(open_store(s3_settings(name)))


def _remove_bucket(store: Store) -> None:
    inner = store._inner
    keys = [item["path"] for batch in obstore.list(inner) for item in batch]
    if keys:
        obstore.delete(inner, keys)
    url = obstore.sign(inner, "DELETE", "", timedelta(minutes=1))
    urllib.request.urlopen(urllib.request.Request(url, method="DELETE")).close()


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "folder":
        return folder_store(tmp_path / "objects")
    require_engine("minio")
    return open_store(s3_settings(request.getfixturevalue("bucket")))


@pytest.fixture
def make_rig(colony: Colony, tmp_path: Path) -> Callable[..., Rig]:
    def make(store: Store, **fields: Any) -> Rig:
        hashes = Hashes(tmp_path / "hashes.sqlite")
        return Rig(colony, Syncer(colony.client, store, hashes, **{"patience": 3.0, **fields}), tmp_path)

    return make


@pytest.fixture
def rig(make_rig: Callable[..., Rig], store: Store) -> Rig:
    return make_rig(store)


@pytest.fixture
def store_options(store: Store, tmp_path: Path) -> tuple[str, ...]:
    """The settings that lead a daemon to the store, without secrets."""
    if not store.place.bucket:
        return ("cfs.store=folder", f"cfs.folder={tmp_path / 'objects'}")
    lines = require_engine("minio")
    return (
        f"cfs.endpoint={lines['CE_S3_ENDPOINT']}",
        f"cfs.bucket={store.place.bucket}",
        f"cfs.region={lines['CE_S3_REGION']}",
    )


@pytest.fixture
def store_variables(store: Store) -> dict[str, str]:
    """The variables that let it in there."""
    if not store.place.bucket:
        return {}
    lines = require_engine("minio")
    return {"AWS_S3_ACCESSKEY": lines["CE_S3_ACCESSKEY"], "AWS_S3_SECRETKEY": lines["CE_S3_SECRETKEY"]}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Mounts a file system of so many bytes."""
    if os.geteuid():
        pytest.skip("mounting a small file system needs root")
    place = tmp_path / "small-disk"
    place.mkdir()

    def mount(size: int) -> Path:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)], check=True)
        return place

    yield mount
    subprocess.run(["umount", "-l", str(place)], check=False)


@pytest.fixture
def resetting() -> Iterator[Resetting]:
    place = urlsplit(require_engine("minio")["CE_S3_ENDPOINT"])
    made = Resetting(place.hostname or "", place.port or 80, every=20)
    yield made
    made.close()


@pytest.fixture
def cfs_variables(rig: Rig, store_variables: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """What the commands about files take from the environment."""
    return {
        **store_variables,
        "COLONIES_SERVER_HOST": "127.0.0.1",
        "COLONIES_SERVER_PORT": str(rig.colony.port),
        "COLONIES_TLS": "false",
        "COLONIES_COLONY_NAME": rig.colony.name,
        "COLONIES_PRVKEY": rig.colony.user.key,
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }


@pytest.fixture
def command(store_options: tuple[str, ...], cfs_variables: dict[str, str]) -> Callable[..., "subprocess.Popen[bytes]"]:
    """Starts ``cfs sync`` of the label ``/data`` with a directory; more settings and variables may follow."""

    def start(place: Path, *settings: str, **variables: str) -> "subprocess.Popen[bytes]":
        options = [part for option in (*store_options, *settings) for part in ("-o", option)]
        line = [
            "env",
            "--default-signal=INT",  # who runs the tests in the background has it ignored, and so have all programs from there
            sys.executable,
            "-m",
            "container_executor.cli",
            "cfs",
            "sync",
            "-l",
            "/data",
            "-d",
            str(place),
            *options,
        ]
        environment = {**os.environ, **cfs_variables, **variables}
        return subprocess.Popen(line, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    return start
