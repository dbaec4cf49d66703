"""The command line ends well each time: an interpreter that is torn down while the object store's library is at work could abort."""

import subprocess
from collections.abc import Callable

import pytest
from files import Rig, s3_settings
from sizes import sizes

from container_executor.cfs.store import Store
from container_executor.cfs.stores import open_store


@pytest.fixture
def store(bucket: str) -> Store:
    return open_store(s3_settings(bucket))


@sizes("count", ci=3, soak=200)
def test_each_of_many_uploads_ends_with_success(
    count: int, command: Callable[..., "subprocess.Popen[bytes]"], rig: Rig
) -> None:
    place = rig.place("here", {"large": bytes(13_000_000)})

    for number in range(count):
        (place / "small").write_text(f"content {number}")
        with command(place) as program:
            words = program.stderr.read().decode() if program.stderr else ""
        assert program.returncode == 0, f"upload {number} ended with {program.returncode}: {words}"

    assert rig.revisions("/data", "small") == count
    assert rig.content("/data", "small") == f"content {count - 1}".encode()
