"""Settings of a site on the real Slurm, and what ``doctor`` says of one that is not right."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from container_executor.models import JobState
from container_executor.testing.bench import Bench

pytestmark = pytest.mark.engine("slurm")

MakeBench = Callable[..., Bench]
Shims = Callable[[Mapping[str, str]], Path]


def faults(bench: Bench) -> str:
    health = bench.backend.probe()
    assert all(fault.what and fault.fix for fault in health.faults)
    return "; ".join(f"{fault.what}: {fault.fix}" for fault in health.faults)


def test_a_site_that_is_right_has_no_faults(bench: Bench) -> None:
    assert faults(bench) == ""
    assert bench.backend.probe().version.startswith("slurm")


def test_a_partition_that_does_not_exist_is_named(make_bench: MakeBench) -> None:
    assert "there is no partition nope" in faults(make_bench(partition="nope"))


def test_a_missing_apptainer_is_named(make_bench: MakeBench) -> None:
    assert "no-such-apptainer does not run" in faults(make_bench(apptainer="no-such-apptainer"))


def test_an_accounting_that_does_not_answer_is_named_with_what_to_do(make_bench: MakeBench, shims: Shims) -> None:
    away = shims({"sacct": 'echo "sacct: error: Problem talking to the database" >&2; exit 1'})

    bench = make_bench(commands=away)
    assert bench.backend.probe().reachable
    assert "start slurmdbd, or set backends.slurm.accounting = false" in faults(bench)
    assert faults(make_bench(commands=away, accounting=False)) == ""


def test_a_shared_directory_that_cannot_be_made_is_named(make_bench: MakeBench, tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    assert f"{tmp_path}/file/shared" in faults(make_bench(shared=tmp_path / "file" / "shared"))


def test_the_prologue_runs_on_each_node_before_the_container(make_bench: MakeBench) -> None:
    bench = make_bench(prologue="export APPTAINERENV_FROM_SITE=yes")

    assert bench.printed("echo $FROM_SITE") == b"yes\n"


def test_a_rank_sees_as_many_gpus_as_it_asked_for(bench: Bench) -> None:
    free, total = bench.backend.capacity(), bench.backend.total()
    assert free is not None
    assert total is not None
    assert free.gpus == total.gpus == 4

    handle = bench.start("echo $CUDA_VISIBLE_DEVICES", gpus=1, nodes=2)

    assert bench.ended(handle).state is JobState.SUCCEEDED
    for rank in range(2):
        assert len(bench.output(handle, rank).decode().strip().split(",")) == 1


def test_options_of_the_site_reach_slurm(make_bench: MakeBench, run: Callable[..., str]) -> None:
    bench = make_bench(options=("--begin=now+1hour", "--nice=7"))

    handle = bench.start("true")

    assert "Nice=7" in run("scontrol", "show", "job", handle.native_id)
