"""Whatever a spec, a record or a job names, nothing outside the directories of the job is opened, read or written.

The kernel itself watches places to which each case tries to lead (inotify), and each refusal has words of its own.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from colonies import DaemonProgram
from decoys import Decoys
from files import Rig, names

from container_executor.cfs.store import Store
from container_executor.cfs.stores import folder_store
from container_executor.client import ProcessState

Make = Callable[..., DaemonProgram]
LONG = "x" * 4096


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return folder_store(tmp_path / "objects")


@pytest.fixture
def site(make_daemon: Make, rig: Rig, tmp_path: Path) -> DaemonProgram:
    options = ("backends.process.allow_host_execution=true", "cfs.store=folder", f"cfs.folder={tmp_path / 'objects'}")
    daemon = make_daemon(options=options)
    daemon.start()
    return daemon


@pytest.fixture
def decoy(tmp_path: Path) -> Path:
    """A directory with secrets, which every case would like to read, change or remove."""
    place = tmp_path / "decoy"
    (place / "sub").mkdir(parents=True)
    for name in ("secret", "f", "evil.txt", "sub/secret"):
        (place / name).write_text("secret")
    return place


@pytest.fixture
def decoys(decoy: Path) -> Iterator[Decoys]:
    watching = Decoys()
    watching.watch(decoy)
    yield watching
    watching.close()


def filesystem(label: str = "/d", path: str = "/d", *, mount: str = "/ce-cfs", **fields: Any) -> dict[str, Any]:
    """Return an ``fs`` with one directory."""
    conflicts = {"onstart": {"keeplocal": False}, "onclose": {"keeplocal": True}}
    return {"mount": mount, "dirs": [{"label": label, "dir": path, "onconflicts": conflicts, **fields}]}


def run_all(rig: Rig, jobs: dict[str, tuple[str, dict[str, Any]]]) -> dict[str, tuple[ProcessState, str]]:
    """Return how each job ended, and its log."""
    submitted = {case: rig.colony.submit(line, fs=fs) for case, (line, fs) in jobs.items()}
    return {case: (rig.colony.wait(process).state, rig.colony.log(process)) for case, process in submitted.items()}


def test_the_watch_tells_of_reading_writing_and_making(decoys: Decoys, decoy: Path, tmp_path: Path) -> None:
    """Otherwise the other tests would prove nothing."""
    (tmp_path / "hard").hardlink_to(decoy / "f")
    assert "given other rights f" in decoys.touched()

    (decoy / "secret").read_text()
    (decoy / "sub" / "new").write_text("new")
    (tmp_path / "hard").read_text()

    assert {"read secret", "made new", "written new", "read f"} <= decoys.touched()
    assert not decoys.touched()


REFUSED = {
    "the mount itself": (filesystem(path="/"), r"fs\.dirs\[0\]\.dir: expected a path below mount without"),
    "no dir": (filesystem(path=""), r"fs\.dirs\[0\]\.dir: missing; expected a path below mount"),
    "above the mount": (filesystem(path="/../.."), r"fs\.dirs\[0\]\.dir: expected a path below mount without"),
    "above it in the end": (filesystem(path="/a/../../b"), r"fs\.dirs\[0\]\.dir: expected a path below mount without"),
    "a label above all": (filesystem("../../etc/cron.d/x"), r"'/?\.\./\.\./etc/cron\.d/x' is no label"),
    "a label of 4 kB": (filesystem("/" + LONG), "has more than 2000 bytes"),
    "a dir of 4 kB": (filesystem(path="/" + LONG), "part of more than 255 bytes"),
    "a mount above all": (filesystem(mount="/../x"), r"fs\.mount: expected an absolute path without"),
    "the files of the kernel": (filesystem(path="/proc", mount="/"), "/proc belongs to the container itself"),
    "devices": (filesystem(path="/x", mount="/dev"), "/dev/x belongs to the container itself"),
}


def test_a_spec_that_leads_elsewhere_is_refused_in_words(site: DaemonProgram, rig: Rig, decoys: Decoys) -> None:
    ended = run_all(rig, {case: ("true", fs) for case, (fs, _) in REFUSED.items()})

    for case, (state, log) in ended.items():
        assert state is ProcessState.FAILED, case
        assert "invalid_spec" in log, log
        assert re.search(REFUSED[case][1], log), log
    assert decoys.touched() == set()
    assert list(site.folder.glob("cfs/*")) == []


def test_a_mount_at_the_root_shows_the_directory_and_hides_nothing_else(
    site: DaemonProgram, rig: Rig, decoys: Decoys, decoy: Path
) -> None:
    rig.sync(rig.place("in", {"f": "stored"}), "/d")

    ended = run_all(
        rig, {"": ("cat /ce-top/f; echo out > /ce-top/out; ls -d /etc", filesystem("/d", "/ce-top", mount="/"))}
    )

    assert ended[""][0] is ProcessState.SUCCESS, ended
    assert "stored" in ended[""][1]
    assert rig.content("/d", "out") == b"out\n"
    assert decoys.touched() == set()
    assert not Path("/ce-top/f").exists()


PLANTED = {
    "link": ("ln -s {decoy}/secret leak", "'leak' (a symbolic link)"),
    "link-to-directory": ("ln -s {decoy} leak", "'leak' (a symbolic link)"),
    "link-upwards": ("ln -s ../../../decoy/secret leak", "'leak' (a symbolic link)"),
    "link-to-nothing": ("ln -s {decoy}/nothing leak", "'leak' (a symbolic link)"),
    "link-to-itself": ("ln -s leak leak", "'leak' (a symbolic link)"),
    "link-chain": ("ln -s {decoy} a; ln -s a/sub b; ln -s b/secret leak", "'leak' (a symbolic link)"),
    "link-for-a-file": ("rm x; ln -s {decoy}/f x", "'x' (a symbolic link)"),
    "fifo": ("mkfifo leak", "'leak' (a FIFO)"),
    "device": ("mknod leak c 1 3 2>/dev/null || mkfifo leak", "'leak' (a "),
    "partial": ("ln -s {decoy}/f .ce-partial-0000000000000000", ""),
    "marker": ("ln -s {decoy}/f .cfs", ""),
}
"""What a job leaves in its directory, and how the log names it."""


def test_nothing_that_a_job_planted_leads_out(site: DaemonProgram, rig: Rig, decoys: Decoys, decoy: Path) -> None:
    for case in PLANTED:
        rig.sync(rig.place(case, {"x": "x"}), f"/{case}")
    jobs = {
        case: (f"cd /ce-cfs/{case}; {line.format(decoy=decoy)}; echo ok > ok", filesystem(f"/{case}", f"/{case}"))
        for case, (line, _) in PLANTED.items()
    }

    ended = run_all(rig, jobs)

    for case, (state, log) in ended.items():
        assert state is ProcessState.SUCCESS, log
        assert PLANTED[case][1] in log, log
        assert {entry.name for entry in rig.colony.call(rig.colony.client.files, f"/{case}")} == {"ok", "x"}
    assert decoys.touched() == set()
    assert names(site.folder / "cfs") == []


LEADING_OUT = {
    "kept-link": ("ln -s {decoy} b", "/b", "staging_in", "kept-link/b: a link or a file where a directory"),
    "kept-root": ("ln -s / b", "/b", "staging_in", "kept-root/b: a link or a file where a directory"),
    "record": ("rm -r sub; ln -s {decoy} sub", "", "staging_out", "sub: a link or a file where a directory"),
}


def test_a_way_that_leads_through_a_planted_link_is_refused(
    site: DaemonProgram, rig: Rig, decoys: Decoys, decoy: Path
) -> None:
    """The link is in a directory that was kept, or in the place of one that the label has."""
    for case in LEADING_OUT:
        rig.sync(rig.place(case, {"sub/secret": "theirs"}), f"/{case}")
    planting = {
        case: (f"cd /ce-cfs/{case}; {line.format(decoy=decoy)}", filesystem(f"/{case}", f"/{case}", keepfiles=True))
        for case, (line, *_) in LEADING_OUT.items()
    }
    planted = run_all(rig, planting)
    following = {
        case: ("ls; echo x > secret", filesystem(f"/{case}{below}", f"/{case}{below}"))
        for case, (_, below, _, _) in LEADING_OUT.items()
        if below
    }

    ended = planted | run_all(rig, following)

    for case, (_, _, failure, words) in LEADING_OUT.items():
        state, log = ended[case]
        assert state is ProcessState.FAILED, log
        assert failure in log, log
        assert words in log, log
    assert decoys.touched() == set()


def test_a_directory_that_a_job_exchanged_for_a_link_is_not_stored(
    site: DaemonProgram, rig: Rig, decoys: Decoys, decoy: Path
) -> None:
    """Only a program on the host itself can do that: what a container sees of the directory is a mount."""
    place = site.folder / "cfs" / "d"

    ((state, log),) = run_all(rig, {"": (f"mv {place} {place}-away && ln -s {decoy} {place}", filesystem())}).values()

    assert state is ProcessState.FAILED
    assert "staging_out" in log
    assert "cfs/d: a link or a file where a directory" in log
    assert decoys.touched() == set()
    assert rig.colony.call(rig.colony.client.files, "/d") == []


def test_a_hard_link_is_a_file_of_the_job_and_is_never_written_through(
    site: DaemonProgram, rig: Rig, decoys: Decoys, decoy: Path
) -> None:
    """Only a program on the host itself can make one, to a file that it may read anyhow."""
    rig.sync(rig.place("in", {"f": "stored"}))
    place, kept = site.folder / "cfs" / "d", filesystem("/data", "/d", keepfiles=True)
    planted = run_all(rig, {"": (f"ln -f {decoy}/f {place}/f; ln {decoy}/secret {place}/own", kept)})
    assert planted[""][0] is ProcessState.SUCCESS
    rig.record("/data", "f", b"newer")
    decoys.touched()

    ((state, log),) = run_all(rig, {"": ("cat /ce-cfs/d/f", filesystem("/data", "/d"))}).values()

    assert state is ProcessState.SUCCESS, log
    assert "newer" in log
    assert names(site.folder / "cfs") == []
    assert not {word for word in decoys.touched() if "written" in word or "made" in word}
    assert (decoy / "f").read_text() == (decoy / "secret").read_text() == "secret"


def test_names_that_mean_something_to_a_shell_are_names(
    site: DaemonProgram, rig: Rig, decoys: Decoys, decoy: Path
) -> None:
    odd = ["-rf", "new\nline", " ", "*", "a'b\"c", f"$(touch {decoy.name})", "`id`", "Case", "case", "~", "\u00e5"]
    rig.sync(rig.place("in", {name: name for name in odd}))

    ended = run_all(rig, {"": ('cd /ce-cfs/d; for f in *; do cp -- "$f" "$f.out"; done', filesystem("/data"))})

    assert ended[""][0] is ProcessState.SUCCESS, ended
    stored = {entry.name for entry in rig.colony.call(rig.colony.client.files, "/data")}
    assert stored == {*odd, *(f"{name}.out" for name in odd)}
    assert all(rig.content("/data", f"{name}.out").decode() == name for name in odd)
    assert decoys.touched() == set()
    assert names(site.folder / "cfs") == []


RECORDS = ["../evil.txt", "..", ".", "a/b", "{decoy}/evil.txt", LONG[:1999], ".ce-partial-x"]


def test_records_that_lead_elsewhere_stop_the_job_and_write_nothing(
    site: DaemonProgram, rig: Rig, decoys: Decoys, decoy: Path
) -> None:
    wanted = {f"r{number}": name.format(decoy=decoy) for number, name in enumerate(RECORDS)}
    for case, name in wanted.items():
        rig.record(f"/{case}", name, b"evil")
    rig.record("/above/../../decoy", "evil.txt", b"evil")

    ended = run_all(rig, {case: ("true", filesystem(f"/{case}", f"/{case}")) for case in (*wanted, "above")})

    for case, (state, log) in ended.items():
        assert state is ProcessState.FAILED, case
        assert "staging_in" in log
        assert "cannot be a file here" in log, log
        assert repr(wanted.get(case, ".."))[1:60] in log, log
    assert decoys.touched() == set()
