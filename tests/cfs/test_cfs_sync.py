"""A directory and a label become the union of both, by content, and nothing is lost on the way."""

import os
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from files import Rig, s3_settings

from container_executor.cfs import Policy, Side, SyncError, Tree
from container_executor.cfs.download import WHOLE
from container_executor.cfs.mover import SMALL
from container_executor.cfs.store import Store
from container_executor.cfs.stores import open_store
from container_executor.cfs.upload import PART
from container_executor.client import Client, FileRecord


def read(place: Path) -> dict[str, bytes]:
    """Return every file below a directory."""
    return {str(path.relative_to(place)): path.read_bytes() for path in sorted(place.rglob("*")) if path.is_file()}


FILES: dict[str, str | bytes] = {
    "one.txt": "one\n",
    "sub/two.txt": "two\n",
    "sub/deep/three.bin": b"\0\1\2",
    ".hidden/x": "h",
    "empty": b"",
}


def test_what_one_directory_sends_another_gets(rig: Rig) -> None:
    first, second = rig.place("first", FILES), rig.place("second")

    sent, fetched = rig.sync(first), rig.sync(second)

    assert (len(sent.uploads), len(sent.downloads)) == (5, 0)
    assert (len(fetched.uploads), len(fetched.downloads)) == (0, 5)
    assert read(second) == read(first)
    assert rig.plan(first).empty
    assert rig.plan(second).unchanged == 5


def test_both_sides_become_the_union(rig: Rig) -> None:
    rig.sync(rig.place("first", {"a": "a", "both": "same"}))
    second = rig.place("second", {"b": "b", "both": "same"})

    plan = rig.sync(second)

    assert [file.path for file in plan.uploads] == ["b"]
    assert [file.path for file in plan.downloads] == ["a"]
    assert read(second) == {"a": b"a", "b": b"b", "both": b"same"}


@pytest.mark.parametrize(("policy", "wins"), [(Policy.KEEP_LOCAL, b"mine"), (Policy.KEEP_REMOTE, b"theirs")])
def test_a_conflict_goes_as_the_policy_says(rig: Rig, policy: Policy, wins: bytes) -> None:
    rig.sync(rig.place("first", {"f": "theirs"}))
    second = rig.place("second", {"f": "mine"})

    plan = rig.sync(second, policy=policy)

    assert [local.path for local, _ in plan.conflicts] == ["f"]
    assert not plan.uploads
    assert not plan.downloads
    assert (second / "f").read_bytes() == wins == rig.content("/data", "f")
    assert rig.revisions("/data", "f") == (2 if policy is Policy.KEEP_LOCAL else 1)


def test_same_size_and_time_but_other_content_is_a_conflict(rig: Rig) -> None:
    rig.sync(rig.place("first", {"f": "aaaa"}))
    second = rig.place("second")
    rig.sync(second)
    status = (second / "f").stat()

    (second / "f").write_text("bbbb")
    os.utime(second / "f", ns=(status.st_atime_ns, status.st_mtime_ns))

    assert len(rig.plan(second).conflicts) == 1


def test_nothing_is_deleted_on_either_side(rig: Rig) -> None:
    first = rig.place("first", {"f": "f", "g": "g"})
    rig.sync(first)
    (first / "f").unlink()

    assert [file.path for file in rig.sync(first).downloads] == ["f"]

    assert read(first) == {"f": b"f", "g": b"g"}


def test_files_of_every_size_are_stored_and_come_back_whole(rig: Rig) -> None:
    content = random.Random(1).randbytes(37 * 2**20 + 3)
    sizes = (len(content), PART + 1, PART, WHOLE + 1, WHOLE, SMALL + 1, SMALL)
    files = {f"of {size}": content[:size] for size in sizes}
    rig.sync(rig.place("first", files))
    second = rig.place("second")

    rig.sync(second)

    assert read(second) == files


def test_of_many_files_only_those_that_changed_are_stored_again(rig: Rig) -> None:
    first = rig.place("first", {f"d{n % 10}/f{n}": f"content {n}" for n in range(300)})
    rig.sync(first)
    before = len(list(rig.store.listing()))
    for n in (3, 77, 150):
        (first / f"d{n % 10}/f{n}").write_text(f"changed {n}")
    (first / "new").write_text("new")

    plan = rig.sync(first)

    assert sorted(file.path for file in plan.to_upload) == ["d0/f150", "d3/f3", "d7/f77", "new"]
    assert len(list(rig.store.listing())) == before + 4


def test_unicode_spaces_and_newlines_are_names_like_others(rig: Rig) -> None:
    files = {"å ä/ö.txt": "1", "-rf": "2", "new\nline": "3", "q'u\"o$(t)e": "4", "%_\\x": "5"}
    rig.sync(rig.place("first", files))
    second = rig.place("second")

    rig.sync(second)

    assert read(second) == {name: content.encode() for name, content in files.items()}


def test_parts_of_a_tree_can_be_left_out(rig: Rig) -> None:
    rig.sync(rig.place("first", {"a/x": "x", "a/b/y": "y", "z": "z"}))
    second = rig.place("second", {"a/b/mine": "m"})

    plan = rig.sync(second, without={"a/b"})

    assert [file.path for file in plan.downloads] == ["a/x", "z"]
    assert not plan.uploads


def test_what_others_may_be_using_is_left_and_named(rig: Rig) -> None:
    rig.sync(rig.place("first", {"f": "theirs", "g": "g"}))
    second = rig.place("second", {"f": "mine", "own": "own"})

    plan = rig.sync(second, sides=Side.DOWNLOAD)

    assert plan.left == ("f", "own")
    assert read(second) == {"f": b"mine", "g": b"g", "own": b"own"}


@pytest.mark.parametrize("size", [100, SMALL + 1], ids=["small", "large"])
def test_a_file_that_grows_while_it_is_read_is_refused_and_the_others_are_stored(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    first = rig.place("first", {"growing": "x" * size, "still": "s"})

    def growing(plain: Callable[..., Any]) -> Callable[..., Any]:
        def reading(descriptor: int, *arguments: Any) -> Any:
            result = plain(descriptor, *arguments)
            if os.path.sameopenfile(descriptor, watched.fileno()):
                with (first / "growing").open("a") as file:
                    file.write("more")
            return result

        return reading

    with (first / "growing").open() as watched, monkeypatch.context() as patched:
        patched.setattr(os, "read", growing(os.read))
        patched.setattr(os, "readv", growing(os.readv))
        with pytest.raises(SyncError, match=r"growing: (is being written to|changed its size)"):
            rig.sync(first)

    assert rig.content("/data", "still") == b"s"
    assert [file.path for file in rig.plan(first).uploads] == ["growing"]


@pytest.mark.parametrize("size", [50, SMALL + 1], ids=["small", "not small any more"])
def test_a_file_that_changed_since_the_directory_was_looked_at_is_stored_as_it_is(rig: Rig, size: int) -> None:
    first = rig.place("first", {"log": "x" * 100})
    plan = rig.plan(first)
    (first / "log").write_bytes(b"y" * size)

    rig.syncer.apply(plan, Tree(first), "/data")

    assert rig.content("/data", "log") == b"y" * size


def test_a_small_file_that_is_written_to_after_it_was_read_is_stored_as_it_was_and_differs_then(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = rig.place("first", {"growing": "x" * 100})
    put = type(rig.store).put

    def growing(store: Store, key: str, data: bytes) -> None:
        with (first / "growing").open("a") as file:
            file.write("more")
        put(store, key, data)

    with monkeypatch.context() as patched:
        patched.setattr(type(rig.store), "put", growing)
        rig.sync(first)
    assert rig.content("/data", "growing") == b"x" * 100

    rig.sync(first)

    assert rig.content("/data", "growing") == b"x" * 100 + b"more"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param(
            lambda file: os.truncate(file, file.stat().st_size - 9),
            "growing: changed its size while it was read",
            id="shrinks",
        ),
        pytest.param(
            lambda file: os.truncate(file, file.stat().st_size + 9), "growing: is being written to", id="grows"
        ),
        pytest.param(os.utime, "growing: is being written to", id="is written to"),
    ],
)
def test_a_file_that_changes_while_it_is_streamed_is_refused_and_nothing_of_it_stays(
    make_rig: Callable[..., Rig],
    bucket: str,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Path], None],
    words: str,
) -> None:
    rig = make_rig(open_store(s3_settings(bucket)))
    put, objects = Store.put_streamed, len(list(rig.store.listing()))

    def changing(store: Store, key: str, size: int, pieces: Iterator[memoryview]) -> None:
        def changed() -> Iterator[memoryview]:
            yield next(pieces)
            change(first / "growing")
            yield from pieces

        put(store, key, size, changed())

    monkeypatch.setattr(Store, "put_streamed", changing)
    first = rig.place("first", {"growing": b"x" * 6_000_000, "still": "s"})

    with pytest.raises(SyncError, match=words):
        rig.sync(first)

    assert rig.content("/data", "still") == b"s"
    assert [file.path for file in rig.plan(first).uploads] == ["growing"]
    assert len(list(rig.store.listing())) == objects + 1


def test_a_run_that_was_cut_short_goes_on_where_it_was(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    first = rig.place("first", {f"f{n:02}": f"{n}" for n in range(40)})
    add, calls = type(rig.colony.client).add_file, list[str]()

    async def dying(client: Client, record: FileRecord) -> FileRecord:
        calls.append(record.name)
        if len(calls) > 20:
            raise RuntimeError("no more")
        if len(calls) == 20:
            time.sleep(0.5)  # noqa: ASYNC251 - it blocks its thread, and is under way while another fails
        return await add(client, record)

    monkeypatch.setattr(type(rig.colony.client), "add_file", dying)
    with pytest.raises(RuntimeError):
        rig.sync(first)
    monkeypatch.undo()

    plan = rig.sync(first)

    assert len(plan.uploads) == 20
    assert [rig.revisions("/data", f"f{n:02}") for n in range(40)] == [1] * 40


@pytest.mark.parametrize("size", [10, 1_000_000, 20_000_000], ids=["in one piece", "streamed", "in parts"])
def test_the_first_file_of_a_site_makes_its_bucket(make_rig: Callable[..., Rig], no_bucket: str, size: int) -> None:
    rig = make_rig(open_store(s3_settings(no_bucket)))
    content = os.urandom(size)

    rig.sync(rig.place("first", {"data": content}))

    assert rig.content("/data", "data") == content
