"""Records of files, labels and snapshots, beyond the recorded answers."""

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.server.conftest import Town

COLONY = "town"


def add(town: "Town", label: str, name: str, **over: Any) -> dict[str, Any]:
    """Add a record."""
    ref = {"protocol": "s3", "s3object": {"object": f"{label}/{name}", "port": -1}}
    file = {"colonyname": COLONY, "label": label, "name": name, "size": 3, "checksum": "ab", "ref": ref, **over}
    found: dict[str, Any] = town.call("user", "addfilemsg", file=file)
    return found


def labels(town: "Town", name: str, *, exact: bool) -> list[str] | None:
    found = town.call("user", "getfilelabelsmsg", colonyname=COLONY, name=name, exact=exact)
    return [each["name"] for each in found] if found is not None else None


def test_revisions_grow_over_all_files_and_the_newest_counts(town: "Town") -> None:
    revisions = [add(town, "/a", "x", checksum=str(number))["sequencenr"] for number in range(3)]
    add(town, "/a", "y")

    listed = town.call("user", "getfilesmsg", colonyname=COLONY, label="/a")

    assert revisions == sorted(set(revisions))
    assert [(each["name"], each["checksum"]) for each in listed] == [("x", "2"), ("y", "ab")]


@pytest.mark.parametrize("name", ["plain", 'quote" and \\', "\x01\x1f\n\t\b\f\r\x7f", "<&>'/", "åé\u2028\U0001f600"])
def test_a_record_is_answered_found_and_listed_as_it_was_given(town: "Town", name: str) -> None:
    added = add(town, "/a", name, size=-7)

    assert (added["name"], added["size"]) == (name, -7)
    assert town.call("user", "getfilemsg", colonyname=COLONY, label="/a", name=name) == [added]
    assert town.call("user", "getfilesmsg", colonyname=COLONY, label="/a") == [
        {"name": name, "checksum": "ab", "size": -7, "s3filename": f"/a/{name}"}
    ]


def test_nothing_is_listed_under_an_unknown_label(town: "Town") -> None:
    assert town.call("user", "getfilesmsg", colonyname=COLONY, label="/none") == []


def test_a_revision_number_is_never_given_twice(town: "Town") -> None:
    first = add(town, "/a", "x")
    town.call("user", "removefilemsg", colonyname=COLONY, fileid=first["fileid"])

    assert add(town, "/a", "x")["sequencenr"] > first["sequencenr"]


def test_labels_begin_with_a_name_or_lie_below_it(town: "Town") -> None:
    for label in ("/in", "/in/sub", "/inner", "/IN", "/o_t", "/out"):
        add(town, label, "x")

    assert labels(town, "/in", exact=False) == ["/in", "/in/sub", "/inner"]
    assert labels(town, "/in", exact=True) == ["/in", "/in/sub"]
    assert labels(town, "/o_t", exact=False) == ["/o_t", "/out"]
    assert labels(town, "/inn", exact=True) is None


def test_a_label_without_own_files_has_nothing_below_it(town: "Town") -> None:
    add(town, "/deep/below", "x")

    assert labels(town, "/deep", exact=True) is None
    assert labels(town, "/deep", exact=False) == ["/deep/below"]
    assert town.call("user", "createsnapshotmsg", colonyname=COLONY, label="/deep", name="s")["fileids"] is None


def test_a_snapshot_keeps_the_revisions_of_its_time(town: "Town") -> None:
    old = [add(town, "/a", "x")["fileid"], add(town, "/a/b", "y")["fileid"]]
    taken = town.call("user", "createsnapshotmsg", colonyname=COLONY, label="/a/", name="then")
    add(town, "/a", "x")

    found = town.call("user", "getsnapshotmsg", colonyname=COLONY, name="then")

    assert found == taken
    assert (sorted(found["fileids"]), found["label"]) == (sorted(old), "/a")


def test_snapshots_are_listed_newest_first_and_removed(town: "Town") -> None:
    for name in ("one", "two:with:colons"):
        town.call("user", "createsnapshotmsg", colonyname=COLONY, label="/a", name=name)
    listed = town.call("user", "getsnapshotsmsg", colonyname=COLONY)
    assert [each["name"] for each in listed] == ["two:with:colons", "one"]

    town.call("user", "removesnapshotmsg", colonyname=COLONY, snapshotid=listed[0]["snapshotid"])
    town.call("user", "removeallsnapshotmsg", colonyname=COLONY)

    assert town.call("user", "getsnapshotsmsg", colonyname=COLONY) is None
    assert town.refused("user", "removesnapshotmsg", colonyname=COLONY)[0] == 500


def test_files_of_another_colony_are_not_seen(town: "Town") -> None:
    fileid = add(town, "/a", "x")["fileid"]
    town.call("server", "addcolonymsg", colony={"colonyid": town.keys["owner"].id, "name": "village"})
    user = {"colonyname": "village", "userid": town.keys["stranger"].id, "name": "eve"}
    town.call("owner", "addusermsg", user=user)

    assert town.refused("stranger", "getfilemsg", colonyname="village", fileid=fileid)[0] == 400
    assert town.refused("stranger", "getfilemsg", colonyname=COLONY, fileid=fileid)[0] == 403
    assert town.call("stranger", "getfilelabelsmsg", colonyname="village", name="") is None


@pytest.mark.parametrize("over", [{"label": "x" * 9000}, {"name": "a\0b"}], ids=["long", "nul"])
def test_a_record_that_cannot_be_stored_is_refused_openly(town: "Town", over: dict[str, str]) -> None:
    file = {"colonyname": COLONY, "label": "/a", "name": "x", **over}

    assert town.refused("user", "addfilemsg", file=file)[0] == 400
