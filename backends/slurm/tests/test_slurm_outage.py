"""Slurm's daemons and commands away, slow, forgetful or cut off in the middle of a reply."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from container_executor.errors import UnavailableError
from container_executor.models import FailureClass, JobState
from container_executor.testing.bench import Bench, Witness, joined, wait_for

pytestmark = pytest.mark.engine("slurm")

SHORT = timedelta(seconds=2)
"""Slurm's own commands try for 10 s and more to reach a controller."""

Shims = Callable[[Mapping[str, str]], Path]
MakeBench = Callable[..., Bench]
Service = Callable[[str, str], None]


def waiting(bench: Bench) -> Witness:
    """Start a job that waits for its order to print a line and end with 3."""
    witness = bench.witness()
    line = f"{witness.trace}; until [ -e /ce-witness/go ]; do sleep 0.1; done; echo done; exit 3"
    witness.handle = bench.start(line, mounts=witness.mounts)
    witness.seen()
    return witness


def let_go(witness: Witness) -> None:
    assert witness.path is not None
    (witness.path.parent / "go").touch()


def test_a_job_that_cannot_be_handed_in_is_handed_in_later_and_runs_once(
    make_bench: MakeBench, service: Service
) -> None:
    bench = make_bench()
    hasty = make_bench(owner=bench.backend.owner, timeout=SHORT)
    witness = bench.witness()
    plan = bench.plan(bench.job(witness.trace, mounts=witness.mounts))
    service("ctl", "stop")

    with pytest.raises(UnavailableError):
        hasty.backend.submit(plan, lifetime=bench.patience)

    service("ctl", "start")
    handle = bench.backend.submit(plan, lifetime=4 * bench.patience)
    assert bench.ended(handle).state is JobState.SUCCEEDED
    assert witness.count() == 1


def test_a_job_that_runs_while_the_controller_is_away_is_not_lost(make_bench: MakeBench, service: Service) -> None:
    bench = make_bench()
    hasty = make_bench(owner=bench.backend.owner, timeout=SHORT)
    ends, goes_on = waiting(bench), waiting(bench)
    assert ends.handle is not None
    assert goes_on.handle is not None
    service("ctl", "stop")

    with pytest.raises(UnavailableError):
        hasty.backend.status([goes_on.handle])
    let_go(ends)

    first = ends.handle
    wait_for(lambda: bench.backend.logs(first).end, bench.patience, "the end of the output, from the shared folder")
    status = bench.backend.status([first])[first.job_id]
    assert status.ranks[0].exit_code == 3, "the records tell the end, whoever is away"
    assert joined(bench.read(first)) == b"done\n"
    service("ctl", "start")
    assert bench.running(goes_on.handle).state is JobState.RUNNING
    let_go(goes_on)
    assert bench.ended(goes_on.handle).ranks[0].exit_code == 3


def test_a_node_that_is_lost_ends_the_job_and_its_program(bench: Bench, service: Service) -> None:
    witness = bench.ticking(nodes=2)
    assert witness.handle is not None
    bench.until(witness.handle, lambda status: all(rank.started for rank in status.ranks), "two ranks that run")

    service("n2", "fail")

    status = bench.ended(witness.handle)
    assert (status.state, status.failure) == (JobState.FAILED, FailureClass.NODE_LOST)
    assert FailureClass.NODE_LOST.retryable
    witness.falls_silent()
    service("n2", "start")
    assert bench.ended(witness.handle).failure is FailureClass.NODE_LOST


def test_jobs_run_while_the_accounting_is_away(bench: Bench, service: Service) -> None:
    service("dbd", "stop")

    assert bench.printed("echo done") == b"done\n"


def test_the_accounting_tells_the_end_of_a_job_that_the_controller_has_forgotten(
    make_bench: MakeBench, shims: Shims, run: Callable[..., str]
) -> None:
    bench = make_bench(options=("--begin=now+1hour",))
    handle = bench.start("true")
    run("scancel", handle.native_id)
    forgetful = make_bench(owner=bench.backend.owner, commands=shims({"squeue": "exit 0"}))

    status = forgetful.ended(handle)

    assert (status.state, status.failure) == (JobState.CANCELLED, FailureClass.CANCELLED)


def test_without_accounting_a_job_that_the_controller_has_forgotten_is_absent(
    make_bench: MakeBench, shims: Shims
) -> None:
    bench = make_bench(options=("--begin=now+1hour",))
    handle = bench.start("true")
    forgetful = make_bench(owner=bench.backend.owner, commands=shims({"squeue": "exit 0"}), accounting=False)

    assert forgetful.backend.status([handle]) == {}


def test_a_forgotten_job_is_not_called_absent_while_the_accounting_does_not_answer(
    make_bench: MakeBench, shims: Shims, service: Service
) -> None:
    bench = make_bench(options=("--begin=now+1hour",))
    handle = bench.start("true")
    forgetful = make_bench(owner=bench.backend.owner, commands=shims({"squeue": "exit 0"}))
    service("dbd", "stop")

    with pytest.raises(UnavailableError):
        forgetful.backend.status([handle])


def test_a_controller_that_lists_nothing_does_not_end_a_job_that_runs(make_bench: MakeBench, shims: Shims) -> None:
    bench = make_bench()
    witness = bench.ticking()
    assert witness.handle is not None
    forgetful = make_bench(owner=bench.backend.owner, commands=shims({"squeue": "exit 0"}))

    status = forgetful.running(witness.handle)

    assert status.state is JobState.RUNNING
    witness.goes_on()


@pytest.mark.parametrize(
    "sbatch",
    ['"$real" "$@" >/dev/null; exit 1', '"$real" "$@" >/dev/null', '"$real" "$@" >/dev/null; exec sleep 60'],
    ids=["error", "silence", "hang"],
)
def test_a_reply_of_sbatch_that_is_lost_makes_no_second_job(make_bench: MakeBench, shims: Shims, sbatch: str) -> None:
    bench = make_bench(commands=shims({"sbatch": sbatch}), timeout=timedelta(seconds=5))
    witness = bench.witness()
    plan = bench.plan(bench.job(witness.trace, mounts=witness.mounts))

    handle = bench.backend.submit(plan, lifetime=bench.patience)

    assert handle.native_id
    assert bench.backend.submit(plan, lifetime=bench.patience) == handle
    assert bench.ended(handle).state is JobState.SUCCEEDED
    assert len(bench.backend.list_jobs()) == 1
    assert witness.count() == 1


def test_a_command_that_hangs_is_given_up(make_bench: MakeBench, shims: Shims) -> None:
    hanging = make_bench(commands=shims({"squeue": "exec sleep 60"}), timeout=timedelta(seconds=0.5))

    with pytest.raises(UnavailableError, match="did not end"):
        hanging.backend.list_jobs()
