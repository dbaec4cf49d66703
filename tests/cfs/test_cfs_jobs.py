"""Jobs with directories: what they read comes in, what they write goes out, and nothing else is seen or touched."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from colonies import Colony, DaemonProgram, wait_for
from files import Rig, names

from container_executor.client import ProcessState

Make = Callable[..., DaemonProgram]


def directory(
    label: str, path: str, *, keepfiles: bool = False, start: bool = False, close: bool = True
) -> dict[str, Any]:
    """Return an entry of ``fs.dirs``."""
    conflicts = {"onstart": {"keeplocal": start}, "onclose": {"keeplocal": close}}
    return {"label": label, "dir": path, "keepfiles": keepfiles, "onconflicts": conflicts}


def fs(*dirs: dict[str, Any], snapshots: tuple[dict[str, Any], ...] = (), mount: str = "/ce-cfs") -> dict[str, Any]:
    """Return an ``fs``."""
    return {"mount": mount, "dirs": list(dirs), "snapshots": list(snapshots)}


@pytest.fixture
def site(make_daemon: Make, rig: Rig, store_options: tuple[str, ...], store_variables: dict[str, str]) -> DaemonProgram:
    daemon = make_daemon(options=("backends.process.allow_host_execution=true", *store_options))
    daemon.start(**store_variables)
    return daemon


def here(site: DaemonProgram) -> Path:
    """Return the site's directory."""
    return site.folder / "cfs"


def ended(colony: Colony, process_id: str, state: ProcessState = ProcessState.SUCCESS) -> str:
    """Return the log of a process once it has ended as it should."""
    process = colony.wait(process_id)
    log = colony.log(process_id)
    assert process.state is state, log
    return log


def test_a_job_reads_what_was_stored_and_what_it_writes_is_stored(site: DaemonProgram, rig: Rig) -> None:
    rig.sync(rig.place("hello", {"hello.txt": "Hello, World!\n"}), "/hello")

    process = rig.colony.submit(
        "cat /ce-cfs/hello/hello.txt; echo new > /ce-cfs/hello/out.txt; echo changed > /ce-cfs/hello/hello.txt",
        fs=fs(directory("/hello", "/hello")),
    )
    log = ended(rig.colony, process)

    assert rig.colony.output(process) == ["Hello, World!"]
    assert rig.content("/hello", "out.txt") == b"new\n"
    assert rig.content("/hello", "hello.txt") == b"changed\n"
    start = "ColonyOS: Starting directory synchronization: Label:/hello Dir:/ce-cfs/hello"
    assert f"{start} Download:1 Upload:0 Conflicts:0 ConflictResolutionStrategy:keepremote" in log
    assert f"{start} Download:0 Upload:1 Conflicts:1 ConflictResolutionStrategy:keeplocal" in log
    assert names(here(site)) == []


def test_a_changed_file_reaches_the_next_job_although_the_old_one_was_kept(site: DaemonProgram, rig: Rig) -> None:
    hello = rig.place("hello", {"hello.txt": "Hello, World!\n"})
    rig.sync(hello, "/hello")
    spec = fs(directory("/hello", "/hello", keepfiles=True))
    first = rig.colony.submit("cat", "/ce-cfs/hello/hello.txt", fs=spec)
    ended(rig.colony, first)
    (hello / "hello.txt").write_text("ColonyOS rocks!\n")
    rig.sync(hello, "/hello")

    second = rig.colony.submit("cat", "/ce-cfs/hello/hello.txt", fs=spec)
    ended(rig.colony, second)

    assert rig.colony.output(first) == ["Hello, World!"]
    assert rig.colony.output(second) == ["ColonyOS rocks!"]
    assert names(here(site) / "hello") == ["hello.txt"]


def test_a_failed_job_still_stores_its_results(site: DaemonProgram, rig: Rig) -> None:
    process = rig.colony.submit("echo partial > /ce-cfs/out/log; exit 3", fs=fs(directory("/out", "/out")))

    ended(rig.colony, process, ProcessState.FAILED)

    assert rig.content("/out", "log") == b"partial\n"
    assert rig.colony.outcome(process)["exitcode"] == "3"


def test_the_process_id_may_stand_in_label_and_dir(site: DaemonProgram, rig: Rig) -> None:
    process = rig.colony.submit(
        "echo x > /ce-cfs/r/{processid}/f", fs=fs(directory("/results/{processid}", "/r/{processid}"))
    )

    ended(rig.colony, process)

    assert rig.content(f"/results/{process}", "f") == b"x\n"


def test_a_job_sees_its_own_directories_only(site: DaemonProgram, rig: Rig) -> None:
    ended(rig.colony, rig.colony.submit("echo s > /ce-cfs/a/f", fs=fs(directory("/a", "/a", keepfiles=True))))

    process = rig.colony.submit("ls /ce-cfs", fs=fs(directory("/b", "/b"), directory("/c/d", "/c/d")))
    ended(rig.colony, process)

    assert rig.colony.output(process) == ["b", "c"]


def test_nested_directories_keep_their_own_rules(site: DaemonProgram, rig: Rig) -> None:
    rig.sync(rig.place("in", {"x": "theirs", "sub/y": "theirs"}), "/p")

    process = rig.colony.submit(
        "echo mine > /ce-cfs/p/x; echo mine > /ce-cfs/p/sub/y",
        fs=fs(directory("/p", "/p", close=False), directory("/p/sub", "/p/sub", close=True, keepfiles=True)),
    )
    ended(rig.colony, process)

    assert rig.content("/p", "x") == b"theirs"
    assert rig.content("/p/sub", "y") == b"mine\n"
    assert [str(path.relative_to(here(site))) for path in here(site).rglob("*")] == ["p", "p/sub", "p/sub/y"]


@pytest.mark.parametrize("keepsnapshot", [True, False])
def test_a_snapshot_comes_in_and_goes_when_it_is_not_kept(site: DaemonProgram, rig: Rig, *, keepsnapshot: bool) -> None:
    rig.sync(rig.place("src", {"main.sh": "echo one", "lib/x": "", "empty": ""}), "/src")
    snapshot = rig.colony.call(rig.colony.client.create_snapshot, "/src", "v1")
    (rig.folder / "src" / "main.sh").write_text("echo two")
    rig.sync(rig.folder / "src", "/src")
    entry = {
        "snapshotid": snapshot.id, "label": "/src", "dir": "/src/{processid}", "keepfiles": False,
        "keepsnapshot": keepsnapshot,
    }  # fmt: skip

    process = rig.colony.submit("sh /ce-cfs/src/{processid}/main.sh", fs=fs(snapshots=(entry,)))
    log = ended(rig.colony, process)

    assert rig.colony.output(process) == ["one"]
    assert f"Downloading snapshot: Label:/src SnapshotID:{snapshot.id} Dir:/ce-cfs/src/{process}" in log
    assert bool(rig.colony.call(rig.colony.client.snapshots)) is keepsnapshot
    assert (here(site) / "src" / process).exists() is keepsnapshot


def test_the_sync_function_fills_a_directory_and_runs_nothing(site: DaemonProgram, rig: Rig) -> None:
    rig.sync(rig.place("in", {"x": "x"}), "/dataset")

    process = rig.colony.submit(
        "true", funcname="sync", kwargs={}, fs=fs(directory("/dataset", "/dataset", keepfiles=True))
    )
    ended(rig.colony, process)

    assert (here(site) / "dataset" / "x").read_text() == "x"


def test_two_jobs_share_a_directory_and_the_last_one_empties_it(site: DaemonProgram, rig: Rig) -> None:
    rig.sync(rig.place("in", {"x": "x"}), "/s")
    spec = fs(directory("/s", "/s"))
    line = "echo {0} > /ce-cfs/s/{0}; until [ -e /ce-cfs/s/{1} ]; do sleep 0.05; done; sleep {2}; cat /ce-cfs/s/x"

    first = rig.colony.submit(line.format("first", "second", "0"), fs=spec)
    second = rig.colony.submit(line.format("second", "first", "1.5"), fs=spec)
    ended(rig.colony, first)
    ended(rig.colony, second)

    assert rig.content("/s", "first") == b"first\n"
    assert rig.content("/s", "second") == b"second\n"
    assert rig.colony.output(second) == ["x"]
    assert names(here(site)) == []


def test_what_one_job_is_writing_is_not_replaced_when_another_comes_to_its_directory(
    site: DaemonProgram, rig: Rig
) -> None:
    rig.sync(rig.place("in", {"x": "stored\n"}), "/s")
    spec = fs(directory("/s", "/s"))

    first = rig.colony.submit(
        "echo mine > /ce-cfs/s/x; echo begun; until [ -e /ce-cfs/s/go ]; do sleep 0.05; done; cat /ce-cfs/s/x", fs=spec
    )
    wait_for(lambda: "begun" in rig.colony.output(first), "the first job at work")
    second = rig.colony.submit("touch /ce-cfs/s/go", fs=spec)
    log = ended(rig.colony, second)
    ended(rig.colony, first)

    assert "'x' (another process uses the directory)" in log
    assert rig.colony.output(first) == ["begun", "mine"]
    assert rig.content("/s", "x") == b"mine\n"


def test_a_job_whose_directory_another_fills_from_elsewhere_waits_for_it(site: DaemonProgram, rig: Rig) -> None:
    first = rig.colony.submit("sleep 1.5; echo a > /ce-cfs/d/a", fs=fs(directory("/a", "/d")))
    rig.colony.wait(first, ProcessState.RUNNING)

    second = rig.colony.submit("ls /ce-cfs/d", fs=fs(directory("/b", "/d")))
    log = ended(rig.colony, second)

    assert "queued: waits for the directory /d" in log
    assert rig.colony.output(second) == []
    assert rig.content("/a", "a") == b"a\n"


def test_leftovers_of_another_label_are_never_uploaded(site: DaemonProgram, rig: Rig) -> None:
    ended(rig.colony, rig.colony.submit("echo a > /ce-cfs/d/a", fs=fs(directory("/a", "/d", keepfiles=True))))

    process = rig.colony.submit("ls /ce-cfs/d", fs=fs(directory("/b", "/d")))
    ended(rig.colony, process)

    assert rig.colony.output(process) == []
    assert rig.colony.call(rig.colony.client.files, "/b") == []


def test_links_that_a_job_planted_are_neither_stored_nor_followed(
    site: DaemonProgram, rig: Rig, tmp_path: Path
) -> None:
    decoy = rig.place("decoy", {"secret": "secret"})

    process = rig.colony.submit(
        f"ln -s {decoy}/secret /ce-cfs/d/leak; ln -s {decoy} /ce-cfs/d/sub; mkfifo /ce-cfs/d/fifo; echo ok > /ce-cfs/d/ok",
        fs=fs(directory("/d", "/d")),
    )
    log = ended(rig.colony, process)

    assert [entry.name for entry in rig.colony.call(rig.colony.client.files, "/d")] == ["ok"]
    assert "left out of /ce-cfs/d" in log
    assert (decoy / "secret").read_text() == "secret"
    assert names(here(site)) == []


def test_a_link_planted_in_a_kept_directory_does_not_lead_the_next_job_out(site: DaemonProgram, rig: Rig) -> None:
    ended(rig.colony, rig.colony.submit("ln -s / /ce-cfs/a/b", fs=fs(directory("/a", "/a", keepfiles=True))))

    process = rig.colony.submit("ls /ce-cfs/a/b", fs=fs(directory("/a/b", "/a/b")))
    log = ended(rig.colony, process, ProcessState.FAILED)

    assert "staging_in" in rig.colony.outcome(process)["outcome"]
    assert "a/b: a link" in log


def test_a_dir_that_is_no_directory_of_its_own_is_refused(site: DaemonProgram, rig: Rig) -> None:
    paths = ["/", "", "/..", "/../..", "/a/../../b", "a/.."]
    processes = [rig.colony.submit("ls", fs=fs(directory("/d", path))) for path in paths]

    for process in processes:
        log = ended(rig.colony, process, ProcessState.FAILED)
        assert "invalid_spec" in rig.colony.outcome(process)["outcome"]
        assert "fs.dirs[0].dir" in log


def test_a_job_that_leaves_a_name_that_no_record_can_hold_fails_and_keeps_it(site: DaemonProgram, rig: Rig) -> None:
    process = rig.colony.submit(
        "echo good > /ce-cfs/d/good; echo bad > /ce-cfs/d/$(printf 'bad\\377')", fs=fs(directory("/d", "/d"))
    )
    log = ended(rig.colony, process, ProcessState.FAILED)

    assert "staging_out" in rig.colony.outcome(process)["outcome"]
    assert f"kept in {here(site) / 'd'}" in log
    assert rig.content("/d", "good") == b"good\n"
    assert len(names(here(site) / "d")) == 1


def test_a_record_that_cannot_be_a_file_fails_the_job_before_it_starts(site: DaemonProgram, rig: Rig) -> None:
    rig.record("/d", "../evil.txt", b"evil")

    process = rig.colony.submit("touch /ce-cfs/d/ran", fs=fs(directory("/d", "/d")))
    log = ended(rig.colony, process, ProcessState.FAILED)

    assert "staging_in" in rig.colony.outcome(process)["outcome"]
    assert "'../evil.txt' has a slash" in log
    assert not (here(site) / "evil.txt").exists()
