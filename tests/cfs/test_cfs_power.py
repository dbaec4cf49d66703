"""The power fails before the disk has what came down: what is missing comes again, and is never taken for what somebody wrote."""

import errno
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from files import LABEL, Rig, names

from container_executor.cfs import CfsError, Hashes, Policy, Tree, boot
from container_executor.cfs.scan import Stamp
from container_executor.cfs.stores import folder_store

PAGE = 4096


@pytest.fixture
def started_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[[], None]]:
    """Has the machine say from then on that it was started anew."""

    def anew() -> None:
        other = tmp_path / "boot_id"
        other.write_text("0a1b2c3d-4e5f-4a6b-8c7d-0123456789ab\n")
        monkeypatch.setattr(boot, "_ID", other)
        boot.boot.cache_clear()

    yield anew
    boot.boot.cache_clear()


class Disk:
    """A disk with a file system, whose power can be cut."""

    def __init__(self, folder: Path) -> None:
        """Make it in a folder."""
        self.place = folder / "disk"
        self._image = folder / "image"
        self._after = folder / "image-after"
        self.place.mkdir()
        with self._image.open("wb") as file:
            file.truncate(64 * 2**20)
        subprocess.run(["mkfs.ext4", "-q", self._image], check=True)
        self._mount(self._image)

    def cut_power(self) -> None:
        """Go on with what the disk has now: the names, which the journal has, and not the contents, which the kernel still keeps."""
        with (self.place / "of somebody else").open("w") as file:
            os.fsync(file.fileno())  # writes the journal, as the kernel does every five seconds
        shutil.copyfile(self._image, self._after)
        self.unmount()
        self._mount(self._after)

    def _mount(self, image: Path) -> None:
        subprocess.run(["mount", "-o", "loop", image, self.place], check=True)

    def unmount(self) -> None:
        """End the use of it."""
        subprocess.run(["umount", self.place], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    if os.geteuid():
        pytest.skip("only root mounts file systems")
    made = Disk(tmp_path)
    yield made
    made.unmount()


FILES = {f"{size // 1000}/{n}": os.urandom(size + n) for size in (3000, 40_000, 1_100_000) for n in range(8)}


def test_files_that_a_power_loss_has_emptied_come_again_and_are_never_stored(
    rig: Rig, disk: Disk, started_anew: Callable[[], None]
) -> None:
    rig.sync(rig.place("first", FILES))
    rig.folder = disk.place
    second = rig.place("second")
    rig.sync(second)

    disk.cut_power()
    emptied = [path for path in FILES if (second / path).stat().st_size == 0]
    started_anew()
    plan = rig.sync(second, policy=Policy.KEEP_LOCAL)

    assert emptied, "the disk had everything, so this shows nothing"
    assert {file.path for file in plan.downloads} >= set(emptied)
    assert not plan.to_upload
    assert {path: (second / path).read_bytes() for path in FILES} == FILES
    assert all(rig.revisions(*_label(path)) == 1 for path in FILES)


def test_files_that_cannot_say_what_they_were_are_on_the_disk_when_they_get_their_names(
    rig: Rig, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.sync(rig.place("first", FILES))
    rig.folder = disk.place
    second = rig.place("second")
    monkeypatch.setattr(os, "setxattr", _unsupported)  # as on NFS before 4.2, vfat and some of FUSE
    rig.sync(second)

    disk.cut_power()

    assert {path: (second / path).read_bytes() for path in FILES} == FILES


def _unsupported(*_arguments: object) -> None:
    raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))


def test_what_is_stored_in_a_folder_is_on_the_disk_before_its_record(make_rig: Callable[..., Rig], disk: Disk) -> None:
    rig = make_rig(folder_store(disk.place / "objects"))
    rig.sync(rig.place("first", FILES))

    disk.cut_power()

    assert {path: rig.content(*_label(path)) for path in FILES} == FILES


def _label(path: str) -> tuple[str, str]:
    above, _, name = path.partition("/")
    return f"{LABEL}/{above}", name


def _shortened(path: Path, size: int) -> None:
    """Take the end of a file as a power loss does: its times stay."""
    before = path.stat()
    os.truncate(path, size)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def _zeroed(path: Path) -> None:
    before = path.stat()
    with path.open("r+b") as file:
        file.seek(PAGE)
        file.write(bytes(PAGE))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def _emptied(path: Path) -> None:
    _shortened(path, 0)


def _halved(path: Path) -> None:
    _shortened(path, 3 * PAGE)


@pytest.mark.parametrize("loss", [_emptied, _halved, _zeroed])
@pytest.mark.parametrize("policy", list(Policy))
def test_what_the_machine_lost_comes_again_once_it_was_started_anew(
    rig: Rig, started_anew: Callable[[], None], loss: Callable[[Path], None], policy: Policy
) -> None:
    content = os.urandom(5 * PAGE)
    rig.sync(rig.place("first", {"data": content}))
    second = rig.place("second")
    rig.sync(second)
    loss(second / "data")
    started_anew()

    plan = rig.sync(second, policy=policy)

    assert len(plan.to_download) == 1
    assert (second / "data").read_bytes() == content
    assert rig.revisions(LABEL, "data") == 1


@pytest.mark.parametrize(("age", "known"), [(60, ""), (3600, "abc")])
def test_a_checksum_of_what_was_in_memory_alone_is_not_believed_after_the_machine_was_started_anew(
    tmp_path: Path, started_anew: Callable[[], None], age: int, known: str
) -> None:
    changed = time.time_ns() - age * 10**9
    stamp = Stamp(device=1, inode=2, size=3, mtime_ns=changed - 10**9, ctime_ns=changed)
    with closing(Hashes(tmp_path / "hashes")) as hashes:
        hashes.learn(stamp, "abc")
    with closing(Hashes(tmp_path / "hashes")) as hashes:
        assert hashes.get(stamp) == "abc"
    started_anew()

    with closing(Hashes(tmp_path / "hashes")) as hashes:
        assert hashes.get(stamp) == known


def test_what_somebody_wrote_before_the_machine_was_started_anew_is_stored(
    rig: Rig, started_anew: Callable[[], None]
) -> None:
    rig.sync(
        rig.place("first", {"emptied": "a" * PAGE, "cut": "b" * 3 * PAGE, "stripped": "c" * 3 * PAGE, "kept": "d"})
    )
    second = rig.place("second")
    rig.sync(second)
    (second / "emptied").write_bytes(b"")
    os.truncate(second / "cut", PAGE)
    _shortened(second / "stripped", PAGE + 1)  # strip -p, exiftool -P and others keep the time
    (second / "new").write_bytes(b"")
    started_anew()

    plan = rig.sync(second)

    assert sorted(file.path for file in plan.to_upload) == ["cut", "emptied", "new", "stripped"]
    assert rig.content(LABEL, "cut") == b"b" * PAGE


def test_an_older_content_is_no_loss(rig: Rig, started_anew: Callable[[], None]) -> None:
    rig.sync(rig.place("first", {"data": "old" * PAGE}))
    second = rig.place("second")
    rig.sync(second)
    rig.sync(rig.place("first", {"data": "new" * PAGE}))
    started_anew()

    plan = rig.sync(second, policy=Policy.KEEP_LOCAL)

    assert [file.path for file in plan.to_upload] == ["data"]
    assert rig.content(LABEL, "data") == b"old" * PAGE


def test_in_the_same_run_of_the_machine_nothing_is_lost(rig: Rig) -> None:
    rig.sync(rig.place("first", {"data": "x" * PAGE}))
    second = rig.place("second")
    rig.sync(second)
    _emptied(second / "data")

    assert [file.path for file in rig.sync(second).to_upload] == ["data"]


def test_what_was_lost_and_is_stored_no_more_is_told_and_not_stored(rig: Rig, started_anew: Callable[[], None]) -> None:
    rig.sync(rig.place("first", {"data": "x" * PAGE}))
    second = rig.place("second")
    rig.sync(second)
    rig.colony.call(partial(rig.colony.client.remove_file, label=LABEL, name="data"))
    _emptied(second / "data")
    started_anew()

    plan = rig.sync(second)

    assert not plan.to_upload
    assert [(odd.path, odd.reason) for odd in plan.oddities] == [
        ("data", "its content was lost when the machine went down")
    ]
    assert names(second) == ["data"]


def test_what_was_lost_is_not_put_by_itself_either(rig: Rig, started_anew: Callable[[], None]) -> None:
    rig.sync(rig.place("first", {"data": "x" * PAGE}))
    second = rig.place("second")
    rig.sync(second)
    _emptied(second / "data")
    started_anew()

    with pytest.raises(
        CfsError, match="data: its content was lost when the machine went down, so it was not stored; cfs sync"
    ):
        rig.syncer.store_file(Tree(second), "data", LABEL)

    assert rig.content(LABEL, "data") == b"x" * PAGE
