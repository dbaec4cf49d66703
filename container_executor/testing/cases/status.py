"""Status: batched, never a guess, and the outcome table."""

from datetime import timedelta

import pytest

from container_executor.models import Handle, JobState
from container_executor.testing.bench import Bench, shell
from container_executor.testing.cases.base import Cases
from container_executor.testing.outcomes import Row, outcome, outcome_table


def unknown_handle(bench: Bench) -> Handle:
    """Return a handle of a job that no engine ever had."""
    job_id = bench.mark().job_id
    return Handle(job_id, job_id)


class StatusCases(Cases):
    def test_a_program_that_ends_with_zero_succeeded(self, bench: Bench) -> None:
        status = bench.ended(bench.start("echo done"))

        assert status.state is JobState.SUCCEEDED
        assert [(rank.rank, rank.state, rank.exit_code) for rank in status.ranks] == [(0, JobState.SUCCEEDED, 0)]
        assert status.failure is None

    def test_a_job_that_the_engine_does_not_have_is_left_out(self, bench: Bench) -> None:
        assert bench.backend.status([unknown_handle(bench)]) == {}

    def test_the_status_of_no_jobs_is_empty(self, bench: Bench) -> None:
        assert bench.backend.status([]) == {}

    def test_one_call_answers_for_many_jobs(self, bench: Bench) -> None:
        good, bad, live = bench.start("true"), bench.start("exit 3"), bench.start("sleep 60")
        for handle, wait in ((good, bench.ended), (bad, bench.ended), (live, bench.running)):
            wait(handle)

        seen = bench.backend.status([good, unknown_handle(bench), bad, live])

        states = {job_id: status.state for job_id, status in seen.items()}
        assert states == {good.job_id: JobState.SUCCEEDED, bad.job_id: JobState.FAILED, live.job_id: JobState.RUNNING}

    def test_a_job_that_runs_has_no_exit_code_yet(self, bench: Bench) -> None:
        status = bench.running(bench.start("sleep 60"))

        assert [(rank.rank, rank.state, rank.exit_code) for rank in status.ranks] == [(0, JobState.RUNNING, None)]
        assert status.failed_rank is None

    def test_times_are_in_utc_and_in_order(self, bench: Bench) -> None:
        (rank,) = bench.ended(bench.start("sleep 1")).ranks

        assert rank.started is not None
        assert rank.ended is not None
        assert rank.started.utcoffset() == rank.ended.utcoffset() == timedelta(0)
        assert rank.started <= rank.ended

    @pytest.mark.parametrize("row", outcome_table(), ids=lambda row: row.name)
    def test_an_end_comes_out_as_the_outcome_table_says(self, bench: Bench, row: Row) -> None:
        status = bench.ended(bench.start(row.argv))

        assert outcome(status) == row.outcome, status

    def test_a_shell_line_passes_on_how_its_child_ended(self, bench: Bench) -> None:
        status = bench.ended(bench.start(shell("sh -c 'kill -KILL $$'; exit $?")))

        assert (status.state, status.ranks[0].exit_code) == (JobState.FAILED, 137)

    def test_an_end_does_not_change_any_more(self, bench: Bench) -> None:
        handle = bench.start("exit 3")

        first = bench.ended(handle)

        assert bench.ended(handle) == first
