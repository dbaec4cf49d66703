"""What is done about a running job, and the verdict."""

from datetime import UTC, datetime, timedelta

import attrs
import pytest

from container_executor.execute.decide import Act, Sight, Stop, Times, Why, decide
from container_executor.execute.outcome import Outcome, conclude, output_of, stopped_by_engine
from container_executor.models import OUTPUT_LIMIT, FailureClass, JobState, JobStatus, RankStatus, job_state

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
TIMES = Times(grace=10, stop_at=1000, walltime=100, pending=300, deadline=1050)
GRACE = timedelta(seconds=10)


def rank(
    number: int, state: JobState, code: int | None = None, ended: float | None = None, **more: object
) -> RankStatus:
    moment = None if ended is None else NOON + timedelta(seconds=ended)
    return attrs.evolve(RankStatus(number, state, exit_code=code, ended=moment), **more)  # type: ignore[arg-type]  # fields by name


def job(*ranks: RankStatus) -> JobStatus:
    return JobStatus(job_state(ranks, len(ranks)), ranks)


def sight(status: JobStatus | None, **more: object) -> Sight:
    return attrs.evolve(Sight(status, submitted=0, started=0), **more)  # type: ignore[arg-type]  # fields by name


RUNNING = job(rank(0, JobState.RUNNING), rank(1, JobState.RUNNING))
OK = job(rank(0, JobState.SUCCEEDED, 0, 5), rank(1, JobState.SUCCEEDED, 0, 6))


def test_a_running_job_is_left_alone_until_its_next_time() -> None:
    step = decide(10, sight(RUNNING), TIMES, None, None)

    assert (step.act, step.until) == (Act.WAIT, 100)


def test_an_ended_job_is_ended_whatever_else_is_due() -> None:
    assert decide(2000, sight(OK), TIMES, None, Why.CANCELLED).act is Act.ENDED


@pytest.mark.parametrize(
    ("now", "interrupt", "why"),
    [(100, None, Why.WALLTIME), (1000, None, Why.LEASE), (10, Why.CANCELLED, Why.CANCELLED), (10, Why.LOST, Why.LOST)],
)
def test_a_job_is_stopped_for_its_first_reason(now: float, interrupt: Why | None, why: Why) -> None:
    times = attrs.evolve(TIMES, walltime=100 if why is Why.WALLTIME else None)

    step = decide(now, sight(RUNNING), times, None, interrupt)

    assert (step.act, step.why) == (Act.STOP, why)


def test_past_the_servers_deadline_a_job_is_not_ours_any_more() -> None:
    assert decide(1050, sight(RUNNING), TIMES, None, None).why is Why.LOST
    stopping = Stop(Why.WALLTIME, at=1049, wall=NOON)
    assert decide(1050, sight(RUNNING), TIMES, stopping, None).act is Act.FORCE


def test_one_failed_rank_ends_the_others() -> None:
    status = job(rank(0, JobState.RUNNING), rank(1, JobState.FAILED, 3, 5))

    assert decide(10, sight(status), TIMES, None, None).why is Why.RANK_FAILED


def test_kill_follows_term_after_the_grace_and_again_where_it_had_no_effect() -> None:
    stop = Stop(Why.WALLTIME, at=100, wall=NOON)

    assert decide(109, sight(RUNNING), TIMES, stop, None).act is Act.WAIT
    assert decide(110, sight(RUNNING), TIMES, stop, None).act is Act.FORCE
    forced = attrs.evolve(stop, forced=110)
    assert decide(111, sight(RUNNING), TIMES, forced, None).act is Act.WAIT
    assert decide(120, sight(RUNNING), TIMES, forced, None).act is Act.FORCE


def test_a_process_lost_while_its_job_is_stopping_is_killed_at_once() -> None:
    stop = Stop(Why.CANCELLED, at=100, wall=NOON)

    assert decide(100, sight(RUNNING), TIMES, stop, Why.LOST).act is Act.FORCE


def test_a_job_that_the_engine_does_not_start_is_stopped() -> None:
    waiting = JobStatus(JobState.PENDING, reason="no node is large enough")

    step = decide(300, sight(waiting, started=None), TIMES, None, None)

    assert (step.act, step.why) == (Act.STOP, Why.PENDING)


@pytest.mark.parametrize(
    ("denials", "since", "now", "act"),
    [
        (2, 40, 60, Act.WAIT),  # too few answers
        (3, 50, 60, Act.WAIT),  # over too short a time
        (9, 0, 29, Act.WAIT),  # too soon after the submit
        (3, 40, 60, Act.VANISHED),
    ],
)
def test_absent_is_not_ended_until_the_engine_has_said_so_for_a_while(
    denials: int, since: float, now: float, act: Act
) -> None:
    assert decide(now, sight(None, denials=denials, denied_since=since), TIMES, None, None).act is act


def test_held_ranks_are_released() -> None:
    assert decide(10, sight(JobStatus(JobState.HELD), started=None), TIMES, None, None).act is Act.RELEASE


# --- the verdict ------------------------------------------------------------------------------------------------------


def test_success_needs_exit_code_0_of_every_rank() -> None:
    assert conclude(OK, None, grace=GRACE).succeeded
    claimed = JobStatus(JobState.SUCCEEDED, (rank(0, JobState.SUCCEEDED, 0, 1), rank(1, JobState.SUCCEEDED, None, 1)))
    verdict = conclude(claimed, None, grace=GRACE)
    assert (verdict.succeeded, verdict.failure) == (False, FailureClass.UNKNOWN)


def test_the_rank_that_failed_first_is_the_one_named() -> None:
    status = job(rank(0, JobState.FAILED, 143, 9), rank(1, JobState.FAILED, 3, 5), rank(2, JobState.FAILED, 137, 9))

    verdict = conclude(status, None, grace=GRACE)

    assert (verdict.rank, verdict.exit_code, verdict.failure) == (1, 3, FailureClass.USER_EXIT)
    assert "rank 1" in verdict.message


def test_what_ranks_answer_to_our_own_stop_is_no_verdict_on_them() -> None:
    culprit = rank(1, JobState.FAILED, 3)
    stop = Stop(Why.RANK_FAILED, at=5, wall=NOON + timedelta(seconds=5), failed=culprit)
    status = job(rank(0, JobState.FAILED, 143, 1), culprit)  # another node's clock is behind

    verdict = conclude(status, stop, grace=GRACE)

    assert (verdict.rank, verdict.exit_code) == (1, 3)


@pytest.mark.parametrize(
    ("why", "failure"),
    [
        (Why.WALLTIME, FailureClass.WALLTIME),
        (Why.LEASE, FailureClass.LEASE_EXPIRED),
        (Why.CANCELLED, FailureClass.CANCELLED),
    ],
)
def test_a_stopped_job_has_the_class_of_its_stop_even_if_it_exits_with_0(why: Why, failure: FailureClass) -> None:
    verdict = conclude(OK, Stop(why, at=1, wall=NOON + timedelta(seconds=1)), grace=GRACE)

    assert (verdict.succeeded, verdict.failure) == (False, failure)


def test_a_job_that_had_succeeded_before_our_stop_reached_it_has_succeeded() -> None:
    assert conclude(OK, Stop(Why.WALLTIME, at=7, wall=NOON + timedelta(seconds=7)), grace=GRACE).succeeded


def test_an_end_told_in_whole_seconds_may_be_after_a_stop_in_that_second() -> None:
    cut = job(rank(0, JobState.SUCCEEDED, 0, 3))

    in_that_second = Stop(Why.WALLTIME, at=3, wall=NOON + timedelta(seconds=3.4))
    assert conclude(cut, in_that_second, grace=GRACE).failure is FailureClass.WALLTIME
    assert conclude(cut, attrs.evolve(in_that_second, wall=NOON + timedelta(seconds=4)), grace=GRACE).succeeded


@pytest.mark.parametrize(
    ("status", "stopped"),
    [
        pytest.param(job(rank(0, JobState.FAILED, 143, 7)), True, id="ended after the engine's TERM"),
        pytest.param(job(rank(0, JobState.FAILED, 143, -3600)), True, id="ended by TERM, on a clock that is an hour behind"),
        pytest.param(job(rank(0, JobState.FAILED, 137)), True, id="ended by KILL, nobody knows when"),
        pytest.param(job(rank(0, JobState.FAILED, 134, 5)), False, id="ended by another signal before it"),
        pytest.param(job(rank(0, JobState.FAILED, 3, 5)), False, id="failed before it"),
        pytest.param(job(rank(0, JobState.FAILED, 3, 5), rank(1, JobState.FAILED, 143, 7)), False, id="one failed before it"),
        pytest.param(job(rank(0, JobState.SUCCEEDED, 0, 7)), True, id="answered TERM with 0"),
        pytest.param(OK, False, id="succeeded before it"),
        pytest.param(job(rank(0, JobState.FAILED, 137, 7, failure=FailureClass.OOM)), False, id="the engine tells another reason"),
        pytest.param(job(rank(0, JobState.FAILED, failure=FailureClass.LEASE_EXPIRED)), True, id="the engine tells this reason"),
    ],
)  # fmt: skip
def test_an_engine_s_own_stop_is_known_by_its_signal_its_time_or_its_words(status: JobStatus, *, stopped: bool) -> None:
    assert stopped_by_engine(status, NOON + timedelta(seconds=6.5)) is stopped


def test_an_end_that_was_seen_before_the_engine_s_stop_was_due_is_none_of_it_whatever_the_clocks_say() -> None:
    late, told = (
        job(rank(0, JobState.FAILED, 143, 1e6)),
        job(rank(0, JobState.FAILED, failure=FailureClass.LEASE_EXPIRED)),
    )

    assert not stopped_by_engine(late, None)
    assert stopped_by_engine(told, None)


def test_the_engines_own_evidence_gives_the_class() -> None:
    status = job(rank(0, JobState.FAILED, 137, 3, failure=FailureClass.OOM, reason="memory limit 32 MiB"))

    verdict = conclude(status, None, grace=GRACE)

    assert verdict.failure is FailureClass.OOM
    assert "memory limit 32 MiB" in verdict.reason


def test_an_output_that_is_too_large_fails_the_job_with_that_reason() -> None:
    status = job(rank(0, JobState.SUCCEEDED, 0, 1, output="x" * (OUTPUT_LIMIT + 1)))

    verdict = conclude(status, None, grace=GRACE)

    assert not verdict.succeeded
    assert "COLONIES_OUTPUT" in verdict.message


@pytest.mark.usefixtures("no_garbage")
@pytest.mark.parametrize(
    ("written", "out"),
    [("", []), ("[1, 2]", [1, 2]), ("text", ["text"]), ('{"a": 1}', ['{"a": 1}']), ("[" * 100_000, ["[" * 100_000])],
)
def test_a_json_list_is_the_output_and_any_other_text_one_element(written: str, out: list[object]) -> None:
    assert output_of(Outcome(succeeded=True, output=written)) == out
