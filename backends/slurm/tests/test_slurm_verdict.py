"""What is made of the records of a job and of Slurm's words, together."""

from datetime import UTC, datetime, timedelta

import attrs
import pytest
from container_executor_slurm.evidence import SETTLE, Evidence
from container_executor_slurm.records import Done, Exit
from container_executor_slurm.states import SlurmState
from container_executor_slurm.verdict import judge

from container_executor.models import FailureClass, JobState, JobStatus

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
LATER = SETTLE + timedelta(seconds=1)
ENDED = Done(0, "ended", NOW)
SIGNALLED = Done(143, "signalled", NOW)


def exited(code: int, *, cause: str = "", signalled: bool = False) -> Exit:
    return Exit(code, NOW - timedelta(minutes=1), NOW, "n1", cause, signalled)


def verdict(evidence: Evidence, *, after: timedelta = timedelta(0)) -> JobStatus:
    return judge(evidence, "7", NOW + after)


def test_a_job_of_which_nothing_is_known_but_that_slurm_runs_is_running_or_waits() -> None:
    waits = verdict(Evidence(2, slurm=SlurmState("PENDING", "Resources")))
    runs = verdict(Evidence(1, launched=True, began={0: NOW}, slurm=SlurmState("RUNNING")))

    assert (waits.state, waits.reason) == (JobState.PENDING, "Slurm says PENDING (Resources)")
    assert runs.state is JobState.RUNNING


def test_all_records_of_zero_are_success_without_another_word() -> None:
    status = verdict(Evidence(2, launched=True, exits={0: exited(0), 1: exited(0)}))

    assert (status.state, status.failure, status.reason) == (JobState.SUCCEEDED, None, "")


def test_one_rank_of_two_is_not_the_end() -> None:
    status = verdict(Evidence(2, launched=True, exits={0: exited(0)}, slurm=SlurmState("RUNNING")))

    assert status.state is JobState.RUNNING


def test_no_rank_is_no_success() -> None:
    assert verdict(Evidence(1, slurm=SlurmState("COMPLETED"))).state is not JobState.SUCCEEDED


def test_a_failed_rank_waits_for_what_srun_has_to_say() -> None:
    half = Evidence(1, launched=True, exits={0: exited(137)}, slurm=SlurmState("RUNNING"))
    whole = attrs.evolve(half, slurm=None, done=ENDED, srun={0: "Out Of Memory"})

    assert not verdict(half).state.ended
    assert verdict(whole).ranks[0].failure is FailureClass.OOM


def test_a_rank_that_failed_by_itself_is_shown_while_the_others_run() -> None:
    status = verdict(Evidence(2, launched=True, exits={1: exited(3)}, began={0: NOW}, slurm=SlurmState("RUNNING")))

    assert status.failed_rank is not None
    assert (status.failed_rank.rank, status.failed_rank.exit_code) == (1, 3)


def test_a_killed_rank_is_not_shown_before_srun_says_whether_its_memory_was_to_blame() -> None:
    killed = Evidence(2, launched=True, exits={1: exited(137)}, began={0: NOW}, slurm=SlurmState("RUNNING"))

    assert verdict(killed).failed_rank is None
    told = verdict(attrs.evolve(killed, srun={1: "Out Of Memory"}))
    assert told.failed_rank is not None
    assert told.failed_rank.failure is FailureClass.OOM
    silent = verdict(killed, after=3 * SETTLE).failed_rank
    assert silent is not None
    assert silent.failure is None


def test_a_zero_after_a_term_is_no_success_before_the_script_has_ended() -> None:
    term = Evidence(1, launched=True, exits={0: exited(0, signalled=True)}, slurm=SlurmState("COMPLETING"))

    assert verdict(term).state is JobState.RUNNING
    assert verdict(attrs.evolve(term, done=ENDED)).state is JobState.SUCCEEDED
    cancelled = attrs.evolve(term, done=SIGNALLED, slurm=SlurmState("CANCELLED"))
    assert (verdict(cancelled).state, verdict(cancelled).failure) == (JobState.CANCELLED, FailureClass.CANCELLED)


def test_a_rank_that_slurm_ended_is_not_called_failed_before_slurm_says_why() -> None:
    term = Evidence(2, launched=True, exits={0: exited(143, signalled=True)}, slurm=SlurmState("COMPLETING"))

    assert verdict(term).failed_rank is None
    assert verdict(term, after=3 * SETTLE).failed_rank is not None


@pytest.mark.parametrize(
    ("word", "failure"),
    [
        ("TIMEOUT", FailureClass.WALLTIME),
        ("PREEMPTED", FailureClass.PREEMPTED),
        ("OUT_OF_MEMORY", FailureClass.OOM),
        ("NODE_FAIL", FailureClass.NODE_LOST),
        ("BOOT_FAIL", FailureClass.NODE_LOST),
    ],
)
def test_slurms_word_is_the_class_where_it_ended_the_job(word: str, failure: FailureClass) -> None:
    exits = {0: exited(0, signalled=True)}

    status = verdict(Evidence(1, launched=True, exits=exits, done=SIGNALLED, slurm=SlurmState(word)))

    assert (status.state, status.failure) == (JobState.FAILED, failure)
    assert word in status.reason


def test_a_job_that_slurm_calls_completed_without_records_failed_and_both_are_named() -> None:
    early = Evidence(2, launched=True, exits={0: exited(0)}, slurm=SlurmState("COMPLETED"))

    assert not verdict(early).state.ended, "the record may be on its way"
    status = verdict(attrs.evolve(early, waited=LATER))
    assert (status.state, status.failure) == (JobState.FAILED, FailureClass.UNKNOWN)
    assert status.reason == "Slurm says COMPLETED; no exit record from rank 1"


def test_a_job_that_never_began_may_be_launched_again() -> None:
    status = verdict(Evidence(1, slurm=SlurmState("LAUNCH_FAILED"), waited=LATER))

    assert (status.state, status.failure) == (JobState.FAILED, FailureClass.NEVER_STARTED)


def test_programs_on_a_lost_node_have_time_to_see_that_their_job_is_over() -> None:
    lost = Evidence(1, launched=True, began={0: NOW}, slurm=SlurmState("NODE_FAIL"))

    assert not verdict(lost).state.ended
    assert verdict(attrs.evolve(lost, waited=LATER)).failure is FailureClass.NODE_LOST
    stopped = verdict(attrs.evolve(lost, exits={0: exited(137, cause="over")}))
    assert (stopped.state, stopped.failure, stopped.ranks[0].exit_code) == (
        JobState.FAILED,
        FailureClass.NODE_LOST,
        137,
    )


def test_a_success_after_slurm_gave_the_job_up_changes_nothing() -> None:
    kept = Evidence(1, launched=True, slurm=SlurmState("NODE_FAIL"), waited=timedelta.max)

    status = verdict(attrs.evolve(kept, exits={0: exited(0)}, done=ENDED))

    assert (status.state, status.failure) == (JobState.FAILED, FailureClass.NODE_LOST)


def test_a_job_back_in_the_queue_has_had_its_run() -> None:
    waits = Evidence(1, launched=True, done=SIGNALLED, slurm=SlurmState("PENDING", "BeginTime"))

    status = verdict(attrs.evolve(waits, exits={0: exited(143, signalled=True)}))

    assert (status.state, status.failure) == (JobState.FAILED, FailureClass.EVICTED)
    assert FailureClass.EVICTED.retryable


def test_a_controller_that_forgot_that_a_job_runs_is_not_believed_at_once() -> None:
    waits = Evidence(1, launched=True, began={0: NOW}, slurm=SlurmState("PENDING", "None"))

    assert verdict(waits).state is JobState.RUNNING
    assert verdict(attrs.evolve(waits, waited=LATER)).failure is FailureClass.EVICTED


def test_a_finished_job_that_is_requeued_keeps_its_end() -> None:
    status = verdict(Evidence(1, launched=True, again=True, exits={0: exited(0)}, done=ENDED))

    assert (status.state, status.failure) == (JobState.SUCCEEDED, None)


@pytest.mark.parametrize(
    ("done", "state", "failure"),
    [
        (Done(143, "cancelled", NOW), JobState.CANCELLED, FailureClass.CANCELLED),
        (Done(1, "expired", NOW), JobState.FAILED, FailureClass.NEVER_STARTED),
    ],
)
def test_a_job_that_did_not_run_says_why(done: Done, state: JobState, failure: FailureClass) -> None:
    status = verdict(Evidence(2, launched=True, done=done))

    assert (status.state, status.failure) == (state, failure)
    assert status.reason
