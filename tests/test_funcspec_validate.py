"""What is refused before anything is staged: impossible and contradictory values, and the limits of a site."""

import subprocess
from datetime import timedelta
from typing import Any

import attrs
import pytest

from container_executor.errors import SpecError
from container_executor.funcspec import (
    Conditions,
    DirSync,
    Filesystem,
    FunctionSpec,
    Limits,
    SnapshotMount,
    make_job,
    validate,
)
from container_executor.funcspec.images import full_reference
from container_executor.models import Mark

GOOD = FunctionSpec("execute", image="busybox", cmd="echo", args=("hello",), conditions=Conditions(executor_type="x"))


def problems(spec: FunctionSpec, limits: Limits | None = None) -> dict[str, str]:
    with pytest.raises(SpecError) as raised:
        validate(spec, limits or Limits())
    return {problem.path: problem.message for problem in raised.value.problems}


def with_fs(*dirs: DirSync, mount: str = "/cfs", snapshots: tuple[SnapshotMount, ...] = ()) -> FunctionSpec:
    return attrs.evolve(GOOD, fs=Filesystem(mount, dirs, snapshots))


def with_conditions(**members: Any) -> FunctionSpec:
    return attrs.evolve(GOOD, conditions=Conditions(**members))


def test_a_good_spec_passes() -> None:
    validate(GOOD)
    validate(FunctionSpec("sync", fs=Filesystem("/cfs", (DirSync("/l", "/d"),))))
    validate(FunctionSpec("anything"))


@pytest.mark.parametrize(
    ("name", "path"), [("nodes", "nodes"), ("processes_per_node", "processespernode"), ("processes", "processes")]
)
def test_more_than_a_server_gives_to_anybody_is_refused(name: str, path: str) -> None:
    validate(with_conditions(**{name: 127}))

    assert problems(with_conditions(**{name: 128})) == {
        f"conditions.{path}": "is 128; a server gives more than 127 to nobody",
    }


def test_ranks_are_limited_by_the_site() -> None:
    spec = with_conditions(nodes=4, processes_per_node=5)

    validate(spec, Limits(ranks=20))
    assert problems(spec, Limits(ranks=19)) == {
        "conditions.nodes": "times processespernode is 20 ranks; this site allows 19",
    }


def test_the_time_a_job_may_run_is_limited_by_the_site() -> None:
    limits = Limits(walltime=timedelta(hours=1))

    validate(attrs.evolve(GOOD, maxexectime=3600), limits)
    validate(attrs.evolve(with_conditions(walltime=timedelta(hours=1)), maxexectime=9999), limits)
    validate(attrs.evolve(GOOD, maxexectime=2**31 - 1), Limits(walltime=None))
    assert problems(attrs.evolve(GOOD, maxexectime=3700), limits) == {
        "maxexectime": "is 1 h 1 min; this site allows 1 h 0 min",
    }
    assert list(problems(with_conditions(walltime=timedelta(hours=2)), limits)) == ["conditions.walltime"]
    assert list(problems(attrs.evolve(GOOD, maxexectime=8 * 86400))) == ["maxexectime"]


# --- arguments and environment ----------------------------------------------------------------------------------------


def test_one_piece_that_the_kernel_does_not_take_is_refused() -> None:
    validate(attrs.evolve(GOOD, args=("x" * 131_071,)))
    validate(attrs.evolve(GOOD, env={"A": "x" * 131_069}))

    assert list(problems(attrs.evolve(GOOD, args=("a", "x" * 131_072)))) == ["kwargs.args[1]"]
    assert list(problems(attrs.evolve(GOOD, args=("é" * 65_536,)))) == ["kwargs.args[0]"]
    assert list(problems(attrs.evolve(GOOD, cmd="echo " + "x" * 131_072, args=()))) == ["kwargs.cmd"]
    assert list(problems(attrs.evolve(GOOD, init_cmd="x" * 131_072))) == ["kwargs.cmd"]
    assert list(problems(attrs.evolve(GOOD, env={"A": "x" * 131_070}))) == ["env.A"]


def test_the_largest_pieces_that_pass_really_run() -> None:
    mark = Mark("0" * 8, "dev", "0" * 64)
    for spec in (
        attrs.evolve(GOOD, cmd="true", args=("x" * 131_071,), env={"A": "x" * 131_069}),
        attrs.evolve(GOOD, cmd="true " + "x" * 130_990, args=("y",), init_cmd=" "),
        attrs.evolve(GOOD, cmd="true", args=("x",) * 100_000),
    ):
        validate(spec)
        job = make_job(spec, mark)
        assert (
            subprocess.run(job.argv, env={"PATH": "/usr/bin:/bin", **job.env}, check=False, timeout=30).returncode == 0
        )


def test_arguments_and_environment_are_limited_by_the_site() -> None:
    assert list(problems(attrs.evolve(GOOD, args=("x" * 100,) * 10), Limits(args_bytes=1000))) == ["kwargs.args"]
    assert list(problems(attrs.evolve(GOOD, env={f"A{i}": "x" * 100 for i in range(10)}), Limits(env_bytes=1000))) == [
        "env"
    ]
    assert "this site allows 1.0 MiB" in problems(attrs.evolve(GOOD, args=("x",) * 200_000))["kwargs.args"]


def test_the_process_id_counts_in_its_full_length() -> None:
    spec = attrs.evolve(GOOD, args=("{processid}" * 3000,))

    assert list(problems(spec)) == ["kwargs.args[0]"]


@pytest.mark.parametrize("name", ["", "A=B", "A B", "A\nB", "\x1b[31m"])
def test_a_name_that_no_variable_can_have_is_refused(name: str) -> None:
    assert len(problems(attrs.evolve(GOOD, env={name: "x"}))) == 1


@pytest.mark.parametrize("name", ["A", "a_b", "A.B", "A-B", "Ä", "IMAGE_2"])
def test_names_that_engines_take_pass(name: str) -> None:
    validate(attrs.evolve(GOOD, env={name: "x"}))


def test_arguments_that_nothing_refers_to_are_refused_before_staging() -> None:
    assert list(problems(attrs.evolve(GOOD, cmd="echo a;", args=("b",)))) == ["kwargs.args"]
    assert list(problems(attrs.evolve(GOOD, cmd="", args=("b",)))) == ["kwargs.cmd"]


def test_a_command_that_becomes_a_program_with_the_process_id_passes() -> None:
    validate(attrs.evolve(GOOD, cmd="/cfs/{processid}", args=("b",)))


def test_a_label_too_long_for_the_server_is_refused() -> None:
    assert list(problems(attrs.evolve(GOOD, label="é" * 1001))) == ["label"]


# --- images -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("image", "full"),
    [
        ("busybox", "docker.io/library/busybox:latest"),
        ("python:3.12-rc-bookworm", "docker.io/library/python:3.12-rc-bookworm"),
        ("tensorflow/tensorflow:2.14.0rc1-gpu", "docker.io/tensorflow/tensorflow:2.14.0rc1-gpu"),
        ("docker.io/library/busybox", "docker.io/library/busybox:latest"),
        ("ghcr.io/user/image:tag", "ghcr.io/user/image:tag"),
        ("localhost:5000/a", "localhost:5000/a:latest"),
        ("localhost/a", "localhost/a:latest"),
        ("registry.site.org:443/a/b/c_d.e-f__g:v1", "registry.site.org:443/a/b/c_d.e-f__g:v1"),
        ("[::1]:5000/a", "[::1]:5000/a:latest"),
        ("busybox@sha256:" + "0" * 64, "docker.io/library/busybox@sha256:" + "0" * 64),
        ("ghcr.io/a/b:v1@sha256:" + "a" * 64, "ghcr.io/a/b@sha256:" + "a" * 64),
    ],
)
def test_an_image_has_a_full_reference(image: str, full: str) -> None:
    assert full_reference(image) == full
    validate(attrs.evolve(GOOD, image=image))


@pytest.mark.parametrize(
    "image",
    [
        "",
        "Ubuntu",
        "User/image",
        "a b",
        "busybox\n",
        "busybox\nx",
        "-busybox",
        "--privileged",
        "./a.sif",
        "../a.sif",
        "a/../b",
        "busybox:",
        "busybox:a b",
        "a//b",
        "oras://x/y",
        "http://x/y",
        "busybox@sha256:12",
        "$(id)",
        "a;b",
        "x" * 600,
        "é",
    ],
)
def test_what_is_no_image_is_refused(image: str) -> None:
    assert "is no reference of an image" in problems(attrs.evolve(GOOD, image=image))["kwargs.docker-image"]


def test_a_site_names_the_images_it_allows_by_their_full_reference() -> None:
    limits = Limits(images=("docker.io/library/*", "registry.site.org/*"))

    for image in ("busybox", "ubuntu:20.04", "registry.site.org/a/b"):
        validate(attrs.evolve(GOOD, image=image), limits)
    for image in ("user/busybox", "busybox.evil.org/a", "docker.io.evil.org/library/a", "registry.site.org.evil.org/a"):
        assert "is not allowed at this site" in problems(attrs.evolve(GOOD, image=image), limits)["kwargs.docker-image"]


@pytest.mark.parametrize("image", ["/images/a.sif", "/images/sub/a.sif", "/images/./a.sif"])
def test_image_files_below_the_roots_of_the_site_pass(image: str) -> None:
    validate(attrs.evolve(GOOD, image=image), Limits(image_roots=("/other", "/images/")))


@pytest.mark.parametrize(
    "image", ["/etc/passwd", "/images/../etc/passwd", "/images", "/imagesx/a.sif", "//images/../a", "/"]
)
def test_image_files_elsewhere_are_refused(image: str) -> None:
    assert (
        "below: /images"
        in problems(attrs.evolve(GOOD, image=image), Limits(image_roots=("/images",)))["kwargs.docker-image"]
    )
    assert "below: nowhere" in problems(attrs.evolve(GOOD, image=image))["kwargs.docker-image"]


def test_the_path_of_an_image_file_is_printable() -> None:
    spec = attrs.evolve(GOOD, image="/images/a\n.sif")

    assert "control characters" in problems(spec, Limits(image_roots=("/images",)))["kwargs.docker-image"]


# --- directories ------------------------------------------------------------------------------------------------------


def test_directories_need_a_mount() -> None:
    assert list(problems(with_fs(DirSync("/l", "/d"), mount=""))) == ["fs.mount"]


@pytest.mark.parametrize("mount", ["cfs", "./cfs", "/cfs/../etc", "/.."])
def test_a_mount_is_an_absolute_path(mount: str) -> None:
    assert list(problems(with_fs(DirSync("/l", "/d"), mount=mount))) == ["fs.mount"]


@pytest.mark.parametrize("directory", ["", "/", "/.", "/..", "/../..", "/a/../b", "/a/..", "//"])
def test_a_dir_is_below_the_mount(directory: str) -> None:
    assert list(problems(with_fs(DirSync("/l", directory)))) == ["fs.dirs[0].dir"]
    snapshot = SnapshotMount("s", "/l", directory)
    assert list(problems(with_fs(snapshots=(snapshot,)))) == ["fs.snapshots[0].dir"]


@pytest.mark.parametrize(
    ("mount", "directory"),
    [("/", "/proc"), ("/", "/proc/1"), ("/proc", "/x"), ("/sys", "/x"), ("/", "/dev"), ("//dev/", "/shm")],
)
def test_what_belongs_to_the_container_is_refused(mount: str, directory: str) -> None:
    assert (
        "belongs to the container itself" in problems(with_fs(DirSync("/l", directory), mount=mount))["fs.dirs[0].dir"]
    )


def test_directories_of_the_image_may_be_used() -> None:
    validate(with_fs(DirSync("/l", "/data"), DirSync("/m", "/process"), mount="/"))


def test_a_directory_needs_a_label() -> None:
    assert list(problems(with_fs(DirSync("", "/d")))) == ["fs.dirs[0].label"]


@pytest.mark.parametrize("snapshot_id", ["", "{snapshotid}"])
def test_a_snapshot_needs_an_id(snapshot_id: str) -> None:
    spec = with_fs(snapshots=(SnapshotMount(snapshot_id, "/l", "/d"),))

    assert list(problems(spec)) == ["fs.snapshots[0].snapshotid"]


def test_labels_of_nested_directories_must_agree() -> None:
    validate(
        with_fs(
            DirSync("/l/in/deep", "/d/in/deep"), DirSync("/l", "/d"), DirSync("/l/in", "/d/in"), DirSync("/m", "/dx")
        )
    )

    assert problems(with_fs(DirSync("/l", "/d"), DirSync("/m", "/d"))) == {
        "fs.dirs[1].label": "lies in fs.dirs[0], which makes its label /l",
    }
    assert problems(with_fs(DirSync("/m", "/d/in"), DirSync("/l", "/d"))) == {
        "fs.dirs[0].label": "lies in fs.dirs[1], which makes its label /l/in",
    }
    assert list(problems(with_fs(DirSync("/l", "/d"), DirSync("/l/in/x", "/d/in/y")))) == ["fs.dirs[1].label"]


def test_a_snapshot_and_a_directory_cannot_share_a_place() -> None:
    snapshot = SnapshotMount("s", "/l", "/d")

    assert problems(with_fs(DirSync("/l", "/d"), snapshots=(snapshot,))) == {
        "fs.snapshots[0].dir": "is the directory of fs.dirs[0] too",
    }
    assert list(problems(with_fs(snapshots=(snapshot, snapshot)))) == ["fs.snapshots[1].dir"]


# --- altogether -------------------------------------------------------------------------------------------------------


def test_every_problem_is_named_at_once_with_those_of_the_site() -> None:
    spec = FunctionSpec(
        "execute",
        image="Bad Image",
        cmd="echo a;",
        args=("b",),
        env={"A=": "x"},
        fs=Filesystem("", (DirSync("", ""),)),
        maxexectime=10**6,
        conditions=Conditions(nodes=128, processes_per_node=20),
        label="x" * 3000,
    )

    assert set(problems(spec, Limits(args_bytes=10))) == {
        "conditions.nodes",
        "kwargs.docker-image",
        "kwargs.args",
        'env["A="]',
        "fs.mount",
        "fs.dirs[0].label",
        "fs.dirs[0].dir",
        "label",
        "maxexectime",
    }
