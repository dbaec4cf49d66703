"""Nothing outside a directory is read, written or removed, whatever a job has left in it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from files import Rig, names

from container_executor.cfs import CfsError, PathError, Policy, Tree
from container_executor.cfs.store import Store


def test_a_planted_link_to_a_file_outside_is_not_uploaded(rig: Rig, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    place = rig.place("here", {"f": "f"})
    (place / "leak").symlink_to(tmp_path / "secret")

    plan = rig.sync(place)

    assert [file.path for file in plan.uploads] == ["f"]


def test_a_planted_link_to_a_directory_is_not_entered(rig: Rig, tmp_path: Path) -> None:
    outside = rig.place("outside", {"secret": "secret"})
    place = rig.place("here")
    (place / "sub").symlink_to(outside)

    assert not rig.sync(place).uploads


def test_a_download_does_not_go_through_a_planted_link(rig: Rig) -> None:
    rig.record("/data/sub", "f", b"content")
    outside, place = rig.place("outside"), rig.place("here")
    (place / "sub").symlink_to(outside)

    with pytest.raises(CfsError, match="sub: a link or a file where a directory"):
        rig.sync(place)

    assert names(outside) == []


def test_a_download_replaces_a_link_and_not_what_it_points_to(rig: Rig, tmp_path: Path) -> None:
    rig.record("/data", "f", b"content")
    (tmp_path / "outside").write_text("untouched")
    place = rig.place("here")
    (place / "f").symlink_to(tmp_path / "outside")

    rig.sync(place, policy=Policy.KEEP_REMOTE)

    assert (tmp_path / "outside").read_text() == "untouched"
    assert (place / "f").read_bytes() == b"content"
    assert not (place / "f").is_symlink()


def test_a_file_that_became_a_link_after_the_plan_is_not_followed(rig: Rig, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    place = rig.place("here", {"f": "f"})
    plan = rig.plan(place)
    (place / "f").unlink()
    (place / "f").symlink_to(tmp_path / "secret")

    with pytest.raises(CfsError, match="no regular file any more"):
        rig.syncer.apply(plan, Tree(place), "/data")


def test_a_file_that_became_a_fifo_after_the_plan_hangs_nothing(rig: Rig) -> None:
    place = rig.place("here", {"f": "f"})
    plan = rig.plan(place)
    (place / "f").unlink()
    os.mkfifo(place / "f")

    with pytest.raises(CfsError, match="no regular file any more"):
        rig.syncer.apply(plan, Tree(place), "/data")


def test_the_way_to_a_directory_must_not_lead_through_a_link(rig: Rig, tmp_path: Path) -> None:
    outside = rig.place("outside", {"f": "f"})
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").symlink_to(outside)

    with pytest.raises(PathError, match="a/b: a link"):
        rig.syncer.plan(Tree(tmp_path, ("a", "b")), "/data", Policy.KEEP_LOCAL)


def test_a_file_where_the_store_has_a_directory_is_refused_and_kept(rig: Rig) -> None:
    rig.record("/data/x", "f", b"f")
    place = rig.place("here", {"x": "a file"})

    plan = rig.sync(place)

    assert "the file 'x' is where its directory would be" in plan.refused[0].reason
    assert [odd.path for odd in plan.oddities] == ["x"]
    assert (place / "x").read_text() == "a file"


def test_a_directory_where_the_store_has_a_file_is_refused_and_kept(rig: Rig) -> None:
    rig.record("/data", "x", b"f")
    place = rig.place("here", {"x/inside": "i"})

    plan = rig.sync(place)

    assert "a directory of that name is in its place" in plan.refused[0].reason
    assert (place / "x" / "inside").read_text() == "i"


def test_names_that_are_no_utf8_are_named_and_stop_nothing(rig: Rig) -> None:
    place = rig.place("here", {"good": "g"})
    (place / os.fsdecode(b"bad\xff")).write_text("x")

    plan = rig.sync(place)

    assert [file.path for file in plan.uploads] == ["good"]
    assert [odd.content for odd in plan.oddities] == [True]


def test_a_very_deep_tree_is_cut_and_told(rig: Rig) -> None:
    place = rig.place("here")
    here = os.open(place, os.O_RDONLY)
    for _ in range(300):
        os.mkdir("d", dir_fd=here)
        inner = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)

    assert "more than 100 directories deep" in rig.plan(place).oddities[0].reason


def test_a_partly_written_file_never_has_its_final_name(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.record("/data", "f", b"x" * 3_000_000)
    place, seen = rig.place("here"), list[list[str]]()
    read = type(rig.store).read

    def watching(store: Store, key: str, start: int = 0) -> Iterator[bytes | memoryview]:
        for piece in read(store, key, start):
            seen.append(names(place))
            yield piece

    monkeypatch.setattr(type(rig.store), "read", watching)
    rig.sync(place)

    assert seen
    assert not any("f" in names for names in seen)
    assert names(place) == ["f"]
