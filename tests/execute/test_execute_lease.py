"""How long a process is ours."""

from datetime import UTC, datetime, timedelta

import pytest

from container_executor.execute.lease import Lease, attempts_left, started_at

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("maxexectime", "stop_at", "stop_at_with_files"),
    [(1, 0.6, 0.4), (5, 3, 2), (10, 6, 4), (100, 85, 65), (1000, 985, 925)],
)
def test_a_job_is_stopped_early_enough_for_grace_and_results(
    maxexectime: int, stop_at: float, stop_at_with_files: float
) -> None:
    assert Lease(0, maxexectime).stop_at == pytest.approx(stop_at)
    assert Lease(0, maxexectime, staged=True).stop_at == pytest.approx(stop_at_with_files)


@pytest.mark.parametrize("maxexectime", [0, 1, 2, 5, 10, 60, 3600, 10**6])
@pytest.mark.parametrize("staged", [False, True])
def test_the_engine_ends_the_job_before_the_server_gives_the_process_away(maxexectime: int, staged: bool) -> None:  # noqa: FBT001
    lease = Lease(50, maxexectime, staged=staged)

    assert lease.start <= lease.stop_at <= lease.stop_at + lease.grace <= lease.end <= lease.deadline


def test_the_lifetime_of_a_job_submitted_late_is_what_is_left() -> None:
    lease = Lease(100, 100)

    assert lease.lifetime(150) == timedelta(seconds=45)
    assert lease.lifetime(500) == timedelta()


def test_the_start_is_told_by_the_servers_clock_however_wrong_ours_is() -> None:
    start = started_at(started=NOON, server_now=NOON + timedelta(seconds=4), now=1000, asked=0)

    assert start == 996


def test_the_start_is_never_before_the_question_nor_after_the_answer() -> None:
    whole_seconds = NOON - timedelta(seconds=0.9)  # a Date header has whole seconds, a start time nanoseconds

    assert started_at(started=NOON, server_now=whole_seconds, now=1000, asked=990) == 1000
    assert started_at(started=NOON, server_now=NOON + timedelta(hours=1), now=1000, asked=990) == 990


def test_a_start_that_the_server_left_out_is_the_time_of_the_question() -> None:
    assert started_at(started=None, server_now=NOON, now=1000, asked=990) == 990


@pytest.mark.parametrize(("attempt", "maxretries", "left"), [(0, 0, False), (0, 1, True), (1, 1, False), (7, -1, True)])
def test_whether_the_server_gives_the_process_away_again(attempt: int, maxretries: int, left: bool) -> None:  # noqa: FBT001
    assert attempts_left(attempt=attempt, maxretries=maxretries) is left
