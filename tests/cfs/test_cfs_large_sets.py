"""A large set of files and one large file: killed on its way up and down, over a network that resets connections, changed by a job."""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs
import pytest
from colonies import DaemonProgram, wait_for
from files import Rig, ended, s3_settings
from resetting import Resetting
from sizes import sizes

from container_executor.cfs import DiskError
from container_executor.cfs.names import PARTIAL
from container_executor.cfs.store import Store
from container_executor.cfs.stores import open_store
from container_executor.client import ProcessState

Command = Callable[..., "subprocess.Popen[bytes]"]
LARGE = "a-large"
ANSWER = 500
"""Bytes that MinIO answers to a file that is stored."""
CALLS = 8
"""Calls that a client has under way at most: so many records may still arrive after it was killed."""


@attrs.frozen
class Size:
    """How many small files there are, how many bytes the large one has, and after how many pieces connections are reset."""

    small: int
    large: int
    every: int


@pytest.fixture
def store(bucket: str) -> Store:
    return open_store(s3_settings(bucket))


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Print how long the block took."""
    started = time.monotonic()
    yield
    print(f"{what}: {time.monotonic() - started:.1f} s", flush=True)  # noqa: T201 - what a soak is run for


def fill(place: Path, size: Size) -> None:
    """Make the files: 4 KiB each in 50 directories, and the large one."""
    source = random.Random(5)
    for number in range(size.small):
        path = place / f"d{number % 50:02}" / f"f{number:05}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(source.randbytes(4096))
    with (place / LARGE).open("wb") as file:
        for _ in range(size.large // 1_000_000):
            file.write(os.urandom(1_000_000))


def kill(program: "subprocess.Popen[bytes]", when: Callable[[], bool], what: str) -> None:
    """Kill a command in the middle."""
    with program:
        wait_for(lambda: when() or program.poll() is not None, what, patience=600)
        assert program.poll() is None, "it had ended before it could be killed"
        program.send_signal(signal.SIGKILL)


@attrs.frozen
class Site:
    """Whom the test plays: a user with the command line, a daemon, and a network between them and the store.

    Attributes:
        size: How much there is.
        rig: The user's colony, store and directories.
        command: Starts the command line.
        network: What stands before the store.
        daemon: Runs jobs.
    """

    size: Size
    rig: Rig
    command: Command
    network: Resetting
    daemon: DaemonProgram

    def recorded(self) -> int:
        """Return how many records there are."""
        return sum(label.files for label in self.rig.colony.call(self.rig.colony.client.labels))

    def objects(self) -> set[str]:
        """Return the keys of all contents."""
        return {key for key, *_ in self.rig.store.listing()}

    def sync(self, place: Path) -> "subprocess.Popen[bytes]":
        """Start to synchronise over the faulty network."""
        return self.command(place, f"cfs.endpoint=127.0.0.1:{self.network.port}")


@pytest.fixture
def make_site(
    command: Command, rig: Rig, resetting: Resetting, make_daemon: Callable[..., DaemonProgram],
    store_options: tuple[str, ...],
) -> Callable[[Size], Site]:  # fmt: skip
    daemon = make_daemon(options=("backends.process.allow_host_execution=true", *store_options))
    return lambda size: Site(size, rig, command, resetting, daemon)


@sizes("size", ci=Size(300, 40_000_000, 100), soak=Size(10_000, 5_000_000_000, 2_000))
def test_a_large_set_goes_up_through_a_job_and_down_again(
    size: Size, make_site: Callable[[Size], Site], store_variables: dict[str, str], small_disk: Callable[[int], Path]
) -> None:
    site = make_site(size)
    there, here = site.rig.place("there"), site.rig.place("here")
    fill(there, size)

    _upload_killed_on_its_way(site, there)
    shutil.rmtree(there)  # the disk need not hold everything four times
    _job_that_changes_three_and_adds_one(site, store_variables)
    _download_killed_at_half(site, here)
    _content_that_is_not_what_its_record_says(site, here)
    _full_disk(site, small_disk(size.large // 2))


def _upload_killed_on_its_way(site: Site, place: Path) -> None:
    network, resets = site.network, site.network.every
    network.every, network.most = sys.maxsize, ANSWER * site.size.small * 3 // 4
    kill(site.sync(place), lambda: network.answered > network.most, "the answers for most of the files")
    done = site.recorded()
    network.every, network.most = resets, sys.maxsize

    with timed(f"upload of the other {site.size.small + 1 - done} files, with resets"):
        words = ended(site.sync(place))

    found = re.search(r"unchanged (\d+)", words)
    assert found is not None
    assert 0 < done <= int(found[1]) <= done + CALLS
    assert site.recorded() == site.size.small + 1
    assert site.network.resets


def _job_that_changes_three_and_adds_one(site: Site, variables: dict[str, str]) -> None:
    site.daemon.start(**variables)
    before, colony = site.objects(), site.rig.colony
    conflicts = {"onstart": {"keeplocal": False}, "onclose": {"keeplocal": True}}
    entry = {"label": "/data", "dir": "/data", "keepfiles": False, "onconflicts": conflicts}
    line = "cd /ce-cfs/data; for f in d00/f00000 d01/f00001 d02/f00002 d03/new; do echo $f > $f; done"

    with timed("a job that changes three files and adds one"):
        process = colony.submit(line, fs={"mount": "/ce-cfs", "dirs": [entry]}, maxexectime=1800)
        state = colony.wait(process, patience=1200).state

    assert state is ProcessState.SUCCESS, colony.log(process)
    assert "Download:0 Upload:1 Conflicts:3" in colony.log(process)
    assert len(site.objects() - before) == 4
    assert site.rig.content("/data/d03", "new") == b"d03/new\n"
    site.daemon.end()


def _download_killed_at_half(site: Site, place: Path) -> None:
    network, size = site.network, site.size
    network.answered, network.most, network.every = 0, size.large // 2, size.every
    kill(site.sync(place), lambda: _come(place) > size.large // 4, "half of the large file")
    come = _come(place)
    assert not (place / LARGE).exists()
    network.answered, network.most = 0, size.large * 2

    with timed(f"download of all but {come / 1e6:.0f} MB, with resets"):
        ended(site.sync(place))

    assert network.answered < size.large - come + size.small * 10_000 + 40_000_000
    assert site.rig.plan(place).empty
    assert site.rig.plan(place).unchanged == size.small + 2
    assert not list(place.rglob(f"{PARTIAL}*"))


def _content_that_is_not_what_its_record_says(site: Site, place: Path) -> None:
    record = site.rig.colony.call(site.rig.colony.client.file, "/data/d04", "f00004")
    site.rig.store.put(record.object, b"x" * record.size)
    (place / "d04/f00004").unlink()

    assert "is not what the record says" in ended(site.command(place), code=74)

    assert not (place / "d04/f00004").exists()


def _full_disk(site: Site, disk: Path) -> None:
    site.rig.folder = disk

    with pytest.raises(DiskError, match="No space left on device; free space there"):
        site.rig.sync(site.rig.place("full"))

    assert not (disk / "full" / LARGE).exists()


def _come(place: Path) -> int:
    """Return how much of the large file has come."""
    return max((path.stat().st_size for path in place.glob(f"{PARTIAL}*")), default=0)
