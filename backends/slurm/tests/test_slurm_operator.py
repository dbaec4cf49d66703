"""What operators and other users of a cluster do to jobs behind our back."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from container_executor.errors import RejectedError
from container_executor.models import FailureClass, JobState, JobStatus
from container_executor.testing.bench import Bench, wait_for

pytestmark = pytest.mark.engine("slurm")

FOUR = {"nodes": 2, "processes_per_node": 2}


def test_a_job_requeued_by_hand_has_ended_and_does_not_run_again(bench: Bench, run: Callable[..., str]) -> None:
    witness = bench.ticking()
    assert witness.handle is not None
    number = witness.handle.native_id
    run("scontrol", "update", f"jobid={number}", "requeue=1")

    run("scontrol", "requeue", number)

    status = bench.ended(witness.handle)
    assert (status.state, status.failure) == (JobState.FAILED, FailureClass.EVICTED)
    assert "queue" in status.reason
    witness.falls_silent()
    count = witness.count()
    wait_for(
        lambda: run("squeue", "--noheader", "--states=all", f"--jobs={number}", "--format=%T") == "COMPLETED",
        bench.patience,
        "the end of the second run",
    )
    assert witness.count() == count, "the second run must leave at once"
    assert bench.ended(witness.handle).failure is FailureClass.EVICTED


def test_a_requeued_job_that_is_removed_leaves_the_queue(bench: Bench, run: Callable[..., str]) -> None:
    witness = bench.ticking()
    assert witness.handle is not None
    number = witness.handle.native_id
    run("scontrol", "update", f"jobid={number}", "requeue=1")
    run("scontrol", "requeuehold", number)
    bench.ended(witness.handle)

    bench.gone(witness.handle)

    assert run("squeue", "--noheader", "--states=pending,running", "--me", f"--name={witness.handle.job_id}") == ""


def test_a_job_that_an_operator_cancels_is_cancelled_even_if_it_ends_with_zero(
    bench: Bench, run: Callable[..., str]
) -> None:
    witness = bench.ticking("trap 'exit 0' TERM; ", **FOUR)
    assert witness.handle is not None
    seen: set[JobState] = set()

    def ended(status: JobStatus) -> bool:
        seen.add(status.state)
        return status.state.ended

    run("scancel", witness.handle.native_id)

    status = bench.until(witness.handle, ended, "the end of the job")
    assert (status.state, status.failure) == (JobState.CANCELLED, FailureClass.CANCELLED)
    assert seen <= {JobState.RUNNING, JobState.CANCELLED}, "no other end was reported on the way"
    witness.falls_silent()


def test_a_job_cancelled_in_the_queue_never_ran(make_bench: Callable[..., Bench], run: Callable[..., str]) -> None:
    bench = make_bench(options=("--begin=now+1hour",))
    witness = bench.witness()
    handle = bench.start(witness.trace, mounts=witness.mounts)
    waiting = bench.until(handle, lambda status: status.reason, "why the job waits")
    assert (waiting.state, waiting.reason) == (JobState.PENDING, "Slurm says PENDING (BeginTime)")

    run("scancel", handle.native_id)

    assert bench.ended(handle).state is JobState.CANCELLED
    assert witness.count() == 0


def test_no_program_runs_while_only_one_of_two_nodes_is_to_be_had(
    bench: Bench, service: Callable[[str, str], None]
) -> None:
    service("n2", "drain")
    witness = bench.witness()

    handle = bench.start(witness.trace, mounts=witness.mounts, **FOUR)

    waiting = bench.until(handle, lambda status: status.reason, "why the job waits")
    assert waiting.state is JobState.PENDING
    other = bench.start("true")
    assert bench.ended(other).state is JobState.SUCCEEDED, "the other node works"
    still = bench.look(handle)
    assert still is not None
    assert (still.state, still.failure) == (JobState.PENDING, None)
    assert witness.count() == 0
    service("n2", "resume")
    assert bench.ended(handle).state is JobState.SUCCEEDED
    assert witness.count() == 4


def test_a_job_on_a_node_that_is_drained_runs_to_its_end(bench: Bench, service: Callable[[str, str], None]) -> None:
    witness = bench.witness()
    line = f"{witness.trace}; until [ -e /ce-witness/go ]; do sleep 0.1; done; exit 3"
    handle = bench.start(line, mounts=witness.mounts, nodes=2)
    witness.seen(2)

    service("n2", "drain")
    assert witness.path is not None
    (witness.path.parent / "go").touch()

    assert [rank.exit_code for rank in bench.ended(handle).ranks] == [3, 3]


def test_a_walltime_above_the_partitions_limit_is_refused_with_both_numbers(
    make_bench: Callable[..., Bench], rig: dict[str, str]
) -> None:
    bench = make_bench(partition=rig["CE_SLURM_PARTITION_BRIEF"])

    with pytest.raises(RejectedError, match=r"0:10:00.*2 minutes") as refused:
        bench.start("true", walltime=timedelta(minutes=10))

    assert refused.value.failure == FailureClass.UNSCHEDULABLE
    assert bench.backend.list_jobs() == []


def test_a_lifetime_above_the_partitions_limit_does_not_keep_a_job_from_running(
    make_bench: Callable[..., Bench], rig: dict[str, str]
) -> None:
    bench = make_bench(partition=rig["CE_SLURM_PARTITION_BRIEF"])

    handle = bench.submit(bench.job("true", walltime=timedelta(minutes=1)), lifetime=timedelta(days=7))

    assert bench.ended(handle).state is JobState.SUCCEEDED
