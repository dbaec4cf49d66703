"""The commands about the file system, as a user types them."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from files import Rig, names

from container_executor.cli.program import program

Run = Callable[..., Result]


@pytest.fixture
def run(store_options: tuple[str, ...], cfs_variables: dict[str, str]) -> Run:
    def run(*arguments: object, code: int = 0) -> Result:
        given = ["cfs", *map(str, arguments)]
        options = [part for option in store_options for part in ("-o", option)]
        result = CliRunner(env=cfs_variables).invoke(program, [*given, *options], prog_name="container-executor")
        assert result.exit_code == code, result.output
        return result

    return run


def test_a_directory_is_synchronised_listed_and_fetched_elsewhere(run: Run, rig: Rig) -> None:
    hello = rig.place("hello", {"hello.txt": "Hello, World!\n", "sub/x": "x"})

    sent = run("sync", "-l", "hello", "-d", hello)
    listed = json.loads(run("ls", "/hello", "--json").stdout)
    other = rig.folder / "other"
    run("sync", "-l", "/hello", "-d", other)
    again = run("sync", "-d", other)

    assert "upload 2, download 0, conflicts 0" in sent.stderr
    assert [file["name"] for file in listed["files"]] == ["hello.txt"]
    assert listed["labels"] == ["/hello/sub"]
    assert (other / "hello.txt").read_text() == "Hello, World!\n"
    assert "nothing to do, 2 files" in again.stderr
    assert "/hello/sub" in run("ls").stdout


def test_a_dry_run_shows_the_plan_and_does_nothing(run: Run, rig: Rig) -> None:
    rig.sync(rig.place("first", {"both": "theirs", "theirs": "t"}))
    here = rig.place("here", {"both": "mine", "mine": "m"})

    shown = run("sync", "-l", "/data", "-d", here, "--dry-run", "--keep", "remote")

    assert [line.split()[:1] + line.split()[3:4] for line in shown.stdout.splitlines()[1:]] == [
        ["both", "download,"],
        ["mine", "upload"],
        ["theirs", "download"],
    ]
    assert names(here) == ["both", "mine"]
    assert (here / "both").read_text() == "mine"


def test_the_plan_is_there_as_json(run: Run, rig: Rig) -> None:
    here = rig.place("here", {"a": "a"})
    (here / "link").symlink_to("a")

    told = json.loads(run("sync", "-l", "/data", "-d", here, "--json").stdout)

    assert (told["uploads"], told["done"], told["bytes"]) == (["a"], True, 1)
    assert told["left_out"] == [{"path": "link", "reason": "a symbolic link"}]


def test_a_record_that_cannot_be_a_file_ends_with_an_exit_code_and_the_rest_is_there(run: Run, rig: Rig) -> None:
    rig.record("/data", "../evil", b"evil")
    rig.record("/data", "good", b"good")

    told = run("sync", "-l", "/data", "-d", rig.folder / "here", code=74)

    assert "'../evil'" in told.stderr
    assert (rig.folder / "here" / "good").read_bytes() == b"good"


def test_single_files_are_stored_fetched_and_removed_with_all_their_contents(run: Run, rig: Rig) -> None:
    here = rig.place("here", {"f": "one"})

    assert "1 stored" in run("put", here / "f", "/data").stderr
    assert "0 stored, 1 unchanged" in run("put", here / "f", "/data").stderr
    (here / "f").write_text("two")
    run("put", here / "f", "data")
    run("get", "/data/f", rig.folder / "fetched")
    objects = len(list(rig.store.listing()))

    assert (rig.folder / "fetched").read_text() == "two"
    assert "2 revisions removed" in run("rm", "/data/f").stderr
    assert len(list(rig.store.listing())) == objects - 2
    assert "no file f is stored" in run("rm", "/data/f", code=74).stderr


def test_removing_a_label_leaves_labels_alone_that_only_look_like_it(run: Run, rig: Rig) -> None:
    rig.sync(rig.place("a", {"s/f": "f", "g": "g"}), "/q_u")
    rig.sync(rig.place("b", {"h": "h"}), "/qxu")

    run("rm", "-r", "/q_u")

    assert [label.name for label in rig.colony.call(rig.colony.client.labels)] == ["/qxu"]


def test_what_a_snapshot_holds_is_not_removed_by_mistake(run: Run, rig: Rig) -> None:
    rig.sync(rig.place("a", {"f": "one"}))
    made = run("snapshot", "create", "data", "v1").stdout.strip()

    assert "v1" in run("rm", "/data/f", code=74).stderr

    assert json.loads(run("snapshot", "ls", "--json").stdout)[0]["id"] == made
    (rig.folder / "a" / "f").write_text("two")
    run("sync", "-d", rig.folder / "a", "-l", "/data")
    run("snapshot", "get", "v1", rig.folder / "old")
    assert (rig.folder / "old" / "f").read_text() == "one"
    run("snapshot", "rm", "v1")
    run("snapshot", "rm", "v1", code=66)
    run("rm", "/data/f")


def test_contents_without_a_record_are_listed_first_and_removed_when_asked(
    run: Run, rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    from container_executor.cfs import remove

    here = rig.place("a", {"f": "one"})
    rig.sync(here)
    (here / "f").write_text("two")
    rig.sync(here)
    key, other = rig.store.new_key(rig.syncer.prefix()), rig.store.new_key("0" * 16)
    rig.store.put(key, b"orphan")
    rig.store.put(other, b"of a colony of this name on another server")

    assert key not in run("gc").stdout
    monkeypatch.setattr(remove, "YOUNG", -1.0)
    assert key in run("gc").stdout
    told = run("gc", "--delete", "--json")

    assert key in [orphan["key"] for orphan in json.loads(told.stdout)]
    assert rig.content("/data", "f") == b"two"
    assert json.loads(run("gc", "--json").stdout) == []
    assert [name for name, *_ in rig.store.listing("0" * 16)] == [other]


def test_development_mode_needs_no_setting(rig: Rig, tmp_path: Path) -> None:
    here = rig.place("here", {"f": "f"})
    state = tmp_path / "state"
    common = ["--dev", "-o", f"state_dir={state}"]

    for arguments in (["sync", "-l", "x", "-d", str(here)], ["sync", "-l", "x", "-d", str(tmp_path / "there")]):
        result = CliRunner(env={}).invoke(program, ["cfs", *arguments, *common], prog_name="container-executor")
        assert result.exit_code == 0, result.output

    assert (tmp_path / "there" / "f").read_text() == "f"
