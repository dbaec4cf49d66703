"""A large download that is cut off goes on where it was, whatever happened meanwhile to what had come of it."""

import os
import random
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from files import Rig, names

from container_executor.cfs import DiskError
from container_executor.cfs.download import WHOLE
from container_executor.cfs.errors import StoreUnavailableError
from container_executor.cfs.names import PARTIAL
from container_executor.cfs.store import Store

CONTENT = random.Random(7).randbytes(2 * WHOLE)
Starts = list[int]


@pytest.fixture
def cut_off(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Starts]:
    """A directory with the first half of a download in it, and where later ones begin to read."""
    rig.sync(rig.place("first", {"big": CONTENT}))
    place, starts, read = rig.place("here"), Starts(), type(rig.store).read

    def half(store: Store, key: str, start: int = 0) -> Iterator[bytes | memoryview]:
        starts.append(start)
        count = 0
        for piece in read(store, key, start):
            yield piece
            count += len(piece)
            if len(starts) == 1 and count >= WHOLE:
                raise RuntimeError("power cut")

    monkeypatch.setattr(type(rig.store), "read", half)
    with pytest.raises(RuntimeError):
        rig.sync(place)
    return place, starts


def left(place: Path) -> Path:
    """Return what has come so far."""
    (path,) = place.glob(f"{PARTIAL}*")
    return path


def test_what_had_come_is_not_fetched_again(rig: Rig, cut_off: tuple[Path, Starts]) -> None:
    place, starts = cut_off
    come = left(place).stat().st_size

    rig.sync(place)

    assert WHOLE <= come < 2 * WHOLE
    assert starts == [0, come]
    assert names(place) == ["big"]
    assert (place / "big").read_bytes() == CONTENT


def _other_bytes(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"something else")


def _too_much(path: Path) -> None:
    path.write_bytes(b"x" * (len(CONTENT) + 1))


def _all_but_other_bytes(path: Path) -> None:
    path.write_bytes(b"x" * len(CONTENT))


@pytest.mark.parametrize("harm", [_other_bytes, _too_much, _all_but_other_bytes, Path.unlink])
def test_what_had_come_is_not_trusted(rig: Rig, cut_off: tuple[Path, Starts], harm: Callable[[Path], None]) -> None:
    place, starts = cut_off
    harm(left(place))

    rig.sync(place)

    assert starts[-1] == 0
    assert names(place) == ["big"]
    assert (place / "big").read_bytes() == CONTENT


@pytest.mark.parametrize("plant", [os.link, os.symlink])
def test_nothing_outside_is_written_that_was_planted_in_the_place_of_what_had_come(
    rig: Rig, cut_off: tuple[Path, Starts], tmp_path: Path, plant: Callable[[Path, Path], None]
) -> None:
    place, _ = cut_off
    outside, path = tmp_path / "outside", left(place)
    outside.write_bytes(b"secret")
    path.unlink()
    plant(outside, path)

    rig.sync(place)

    assert outside.read_bytes() == b"secret"
    assert (place / "big").read_bytes() == CONTENT


def test_what_came_of_a_file_that_is_another_by_now_goes(rig: Rig, cut_off: tuple[Path, Starts]) -> None:
    place, _ = cut_off
    rig.record("/data", "big", b"small by now")

    rig.sync(place)

    assert names(place) == ["big"]
    assert (place / "big").read_bytes() == b"small by now"


@pytest.fixture
def ext4(rig: Rig, tmp_path: Path) -> Iterator[Path]:
    """Where the directories are: a file system with room for three such files."""
    if os.geteuid():
        pytest.skip("only root mounts file systems")
    image, place = tmp_path / "image", tmp_path / "ext4"
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(3 * len(CONTENT) + 2**22)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", "-O", "^has_journal", image], check=True)
    subprocess.run(["mount", "-o", "loop", image, place], check=True)
    rig.folder = place
    yield place
    subprocess.run(["umount", place], check=True)


def test_what_had_come_stays_as_it_is_on_a_disk_that_is_full_by_now(
    rig: Rig, ext4: Path, cut_off: tuple[Path, Starts]
) -> None:
    place, starts = cut_off
    come = left(place).stat().st_size
    os.truncate(left(place), come)  # the room that it took for the rest is gone
    (ext4 / "others").write_bytes(bytes(os.statvfs(ext4).f_bavail * os.statvfs(ext4).f_bsize - 2**22))
    room = os.statvfs(ext4).f_bfree

    with pytest.raises(DiskError, match="free space there"):
        rig.sync(place)

    assert left(place).stat().st_size == come
    assert os.statvfs(ext4).f_bfree > room - 16
    (ext4 / "others").unlink()
    rig.sync(place)
    assert starts == [0, come]
    assert (place / "big").read_bytes() == CONTENT


def test_a_download_that_keeps_coming_is_not_given_up(
    make_rig: Callable[..., Rig], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each time the connection breaks, and all tries together take longer than a store is waited for that says nothing."""
    rig = make_rig(store, patience=0.7)
    rig.sync(rig.place("first", {"big": CONTENT}))
    place, starts, read = rig.place("here"), Starts(), type(rig.store).read

    def breaking(store: Store, key: str, start: int = 0) -> Iterator[bytes | memoryview]:
        starts.append(start)
        count = 0
        for piece in read(store, key, start):
            yield piece
            count += len(piece)
            if count >= WHOLE // 2:
                raise StoreUnavailableError("reset")

    monkeypatch.setattr(type(rig.store), "read", breaking)
    rig.sync(place)

    assert len(starts) >= 4
    assert (place / "big").read_bytes() == CONTENT
