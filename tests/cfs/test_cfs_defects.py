"""What other clients of the file system do wrong; each row is a case that ends well here."""

import os
import socket
from pathlib import Path

import pytest
from files import Rig, names

from container_executor.cfs import CfsError, Policy, SyncError, Tree, normal_label
from container_executor.cfs.each import Stop
from container_executor.cfs.snapshots import create_snapshot, snapshot_files
from container_executor.client import Client, FileRecord, NoAnswerError, ProtocolError


def test_a_label_without_files_of_its_own_brings_what_lies_below_it(rig: Rig) -> None:
    rig.sync(rig.place("first", {"sub/f": "f"}))
    second = rig.place("second")

    rig.sync(second)

    assert (second / "sub" / "f").read_text() == "f"


def test_an_underscore_in_a_label_is_no_wildcard(rig: Rig) -> None:
    rig.sync(rig.place("other", {"s/f": "foreign", "g": "foreign"}), label="/qxu")
    rig.sync(rig.place("mine", {"own": "own"}), label="/q_u")
    second = rig.place("second")

    rig.sync(second, label="/q_u")

    assert names(second) == ["own"]


@pytest.mark.parametrize("label", ["/100%", "/back\\slash", "/a'b"])
def test_labels_may_have_characters_that_mean_something_to_a_database(rig: Rig, label: str) -> None:
    rig.sync(rig.place("first", {"sub/f": "f"}), label=label)
    second = rig.place("second")

    rig.sync(second, label=label)

    assert (second / "sub" / "f").read_text() == "f"


def test_an_empty_stored_file_replaces_a_local_one_by_an_empty_one(rig: Rig) -> None:
    rig.record("/data", "f", b"")
    place = rig.place("here", {"f": "content"})

    rig.sync(place, policy=Policy.KEEP_REMOTE)

    assert (place / "f").read_bytes() == b""


def test_a_missing_object_leaves_no_empty_file_that_would_be_uploaded_as_the_truth(rig: Rig) -> None:
    rig.record("/data", "f", b"content", stored=b"")
    place = rig.place("here")

    with pytest.raises(SyncError, match="f: the content is not in the store"):
        rig.sync(place)

    assert names(place) == []
    assert not rig.plan(place).uploads


def test_a_missing_object_leaves_the_local_file_as_it_was(rig: Rig) -> None:
    rig.record("/data", "f", b"content", stored=b"")
    place = rig.place("here", {"f": "mine"})

    with pytest.raises(SyncError, match="f: the content is not in the store"):
        rig.sync(place, policy=Policy.KEEP_REMOTE)

    assert (place / "f").read_text() == "mine"


@pytest.mark.parametrize("stored", [b"corrupt", b"contentmore", b"cont"])
def test_a_corrupt_object_is_not_accepted(rig: Rig, stored: bytes) -> None:
    rig.record("/data", "f", b"content", stored=stored)
    rig.record("/data", "good", b"good")
    place = rig.place("here")

    with pytest.raises(SyncError, match="is not what the record says"):
        rig.sync(place)

    assert names(place) == ["good"]


def test_files_that_cannot_come_keep_none_of_the_many_others_away(rig: Rig) -> None:
    """Contents are asked for some files ahead."""
    files: dict[str, str | bytes] = {f"d{n % 3}/f{n:02}": f"content {n}" if n % 7 else "" for n in range(60)}
    rig.sync(rig.place("first", files))
    rig.record("/data/d0", "f10x", b"lost", stored=b"")
    rig.record("/data/d1", "f11x", b"right", stored=b"wrong")
    rig.record("/data/d2", "f12x", b"right", stored=b"more than that")
    place = rig.place("here")

    with pytest.raises(SyncError) as caught:
        rig.sync(place)

    assert len(caught.value.errors) == 3
    assert all(name in str(caught.value) for name in ("d0/f10x", "d1/f11x", "d2/f12x"))
    assert {str(path.relative_to(place)): path.read_text() for path in place.rglob("*") if path.is_file()} == files


def test_a_snapshot_with_an_empty_file_comes_down_whole(rig: Rig) -> None:
    rig.sync(rig.place("first", {"empty": "", "f": "f", "sub/g": "g"}))
    client = rig.colony.client
    snapshot = create_snapshot(client, "/data", "s1")
    remote = snapshot_files(client, snapshot, Stop())
    place = rig.place("here")
    tree = Tree(place)

    plan = rig.syncer.compare(tree, remote, Policy.KEEP_REMOTE)
    rig.syncer.apply(plan, tree, "/data")

    assert sorted(str(path.relative_to(place)) for path in place.rglob("*")) == ["empty", "f", "sub", "sub/g"]


def test_a_snapshot_of_a_label_without_files_of_its_own_is_not_empty(rig: Rig) -> None:
    rig.sync(rig.place("first", {"sub/f": "f"}))

    snapshot = create_snapshot(rig.colony.client, "/data", "s1")

    assert len(snapshot.file_ids) == 2


def test_a_snapshot_with_an_underscore_leaves_foreign_labels_out(rig: Rig) -> None:
    rig.sync(rig.place("other", {"s/f": "foreign"}), label="/qxu")
    rig.sync(rig.place("mine", {"own": "own"}), label="/q_u")
    client = rig.colony.client

    snapshot = create_snapshot(client, "/q_u", "s1")
    remote = snapshot_files(client, snapshot, Stop())

    assert list(remote.files) == ["own"]


def test_a_snapshot_of_nothing_is_refused(rig: Rig) -> None:
    with pytest.raises(CfsError, match="nothing is stored under the label /none"):
        create_snapshot(rig.colony.client, "/none", "s1")


def test_a_snapshot_whose_file_was_removed_says_so(rig: Rig) -> None:
    record = rig.record("/data", "f", b"f")
    client = rig.colony.client
    snapshot = create_snapshot(client, "/data", "s1")
    rig.colony.call(client.remove_file, record.id)

    with pytest.raises(CfsError, match="is not whole any more"):
        snapshot_files(client, snapshot, Stop())


@pytest.mark.parametrize("name", ["../evil.txt", "..", ".", "a/b", "/abs", "x" * 300, ".ce-partial-x"])
def test_a_record_whose_name_leads_elsewhere_is_refused_by_name(rig: Rig, tmp_path: Path, name: str) -> None:
    rig.record("/data", name, b"evil")
    rig.record("/data", "good", b"good")
    place = rig.place("here")

    plan = rig.sync(place)

    assert [refused.name for refused in plan.refused] == [name]
    assert names(place) == ["good"]
    assert not (tmp_path / "evil.txt").exists()


@pytest.mark.parametrize("below", ["..", "../..", "a/../../b", "", "."])
def test_a_record_whose_label_leads_elsewhere_is_refused(rig: Rig, tmp_path: Path, below: str) -> None:
    rig.record(f"/data/{below}/x", "evil.txt", b"evil")
    place = rig.place("here")
    before = sorted(tmp_path.iterdir())

    plan = rig.sync(place)

    assert [refused.name for refused in plan.refused] == ["evil.txt"]
    assert list(place.iterdir()) == []
    assert sorted(tmp_path.iterdir()) == before


def test_broken_links_fifos_and_sockets_are_left_out_and_stop_nothing(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = rig.place("here", {"f": "f"})
    (place / "broken").symlink_to("nowhere")
    os.mkfifo(place / "fifo")
    monkeypatch.chdir(place)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")

    plan = rig.sync(place)

    assert [file.path for file in plan.uploads] == ["f"]
    assert {odd.path: odd.reason for odd in plan.oddities} == {
        "broken": "a symbolic link",
        "fifo": "a FIFO",
        "socket": "a socket",
    }


@pytest.mark.parametrize("written", ["data", "/data", "/data/", "//data//", "./data"])
def test_slashes_of_a_label_are_normalised(written: str) -> None:
    assert normal_label(written) == "/data"


def test_a_label_that_leads_upwards_is_refused() -> None:
    with pytest.raises(CfsError, match=r"'/a/\.\./b' is no label"):
        normal_label("/a/../b")


def test_no_key_of_the_store_is_in_a_record(rig: Rig) -> None:
    rig.sync(rig.place("here", {"f": "f"}))

    answers = rig.colony.call(rig.colony.client.revisions, "/data", "f")

    assert len(answers[0].object) == 64
    assert "secret" not in repr(answers).lower()


def test_a_file_of_the_official_client_and_one_of_pycolonies_can_be_read(rig: Rig) -> None:
    """The official client stores no object for an empty file; pycolonies stores an empty one."""
    rig.record("/data", "go-empty", b"")
    rig.record("/data", "go", b"go")
    place = rig.place("here")

    rig.sync(place)

    assert {path.name: path.read_bytes() for path in place.iterdir()} == {"go-empty": b"", "go": b"go"}


def test_a_record_that_the_server_answers_with_null_is_no_success(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Colonies server answers 200 and null when its database refuses a record, as it does for names of several kB."""
    add = type(rig.colony.client).add_file

    async def refusing(client: Client, record: FileRecord) -> FileRecord:
        if record.name == "f":
            raise ProtocolError("the server did not store the record of /data/f")
        return await add(client, record)

    monkeypatch.setattr(type(rig.colony.client), "add_file", refusing)
    with pytest.raises(SyncError, match="/data/f: the server took no record of it"):
        rig.sync(rig.place("here", {"f": "f", "g": "g"}))

    assert rig.content("/data", "g") == b"g"


def test_a_lost_answer_to_a_record_makes_one_revision(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    add, lost = type(rig.colony.client).add_file, list[FileRecord]()

    async def losing(client: Client, record: FileRecord) -> FileRecord:
        made = await add(client, record)
        if not lost:
            lost.append(record)
            raise NoAnswerError("the answer was lost")
        return made

    monkeypatch.setattr(type(rig.colony.client), "add_file", losing)
    rig.sync(rig.place("here", {"f": "f"}))

    assert lost
    assert rig.revisions("/data", "f") == 1
