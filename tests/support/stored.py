"""Files of jobs in the real object store, over a way that a test can break: fixtures, and the ``fs`` of a spec that uses them."""

import urllib.request
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import attrs
import obstore
import pytest
from anyio.from_thread import BlockingPortal
from colonies import Colony
from files import Rig, s3_settings
from wire import Upstream, Wire

from container_executor.cfs import Hashes, Syncer
from container_executor.cfs.store import Store
from container_executor.cfs.stores import open_store
from container_executor.testing import require_engine

FILES = {
    "mount": "/ce-cfs",
    "dirs": [
        {
            "label": "/data",
            "dir": "/data",
            "keepfiles": False,
            "onconflicts": {"onstart": {"keeplocal": False}, "onclose": {"keeplocal": True}},
        }
    ],
}
"""One directory: its files come in, and what the job changes goes out."""


@attrs.frozen
class Stored:
    """A bucket, and how a daemon reaches it.

    Attributes:
        store: The bucket, reached directly.
        wire: What stands between the daemon and the store.
        options: The daemon's settings.
        variables: The daemon's variables.
    """

    store: Store
    wire: Wire
    options: tuple[str, ...]
    variables: Mapping[str, str]


@pytest.fixture
def stored(portal: BlockingPortal) -> Iterator[Stored]:
    """A bucket of this test's own."""
    lines, bucket = require_engine("minio"), f"ce-test-{uuid4().hex[:12]}"
    wire = Wire(Upstream(lines["CE_S3_ENDPOINT"]), portal)
    wire.start()
    options = (f"endpoint=http://127.0.0.1:{wire.port}", f"bucket={bucket}", f"region={lines['CE_S3_REGION']}")
    variables = {"AWS_S3_ACCESSKEY": lines["CE_S3_ACCESSKEY"], "AWS_S3_SECRETKEY": lines["CE_S3_SECRETKEY"]}
    store = open_store(s3_settings(bucket))
    yield Stored(store, wire, tuple(f"cfs.{option}" for option in options), variables)
    wire.stop()
    _remove(store)


@pytest.fixture
def rig(colony: Colony, stored: Stored, tmp_path: Path) -> Iterator[Rig]:
    """A user with files in the bucket."""
    hashes = Hashes(tmp_path / "hashes.sqlite")
    yield Rig(colony, Syncer(colony.client, stored.store, hashes), tmp_path)
    hashes.close()


def _remove(store: Store) -> None:
    store.put(store.new_key(), b"makes the bucket, if nobody has")
    inner = store._inner
    keys = [item["path"] for batch in obstore.list(inner) for item in batch]
    if keys:
        obstore.delete(inner, keys)
    url = obstore.sign(inner, "DELETE", "", timedelta(minutes=1))
    urllib.request.urlopen(urllib.request.Request(url, method="DELETE")).close()
