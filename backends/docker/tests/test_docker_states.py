"""What Docker says of containers is evidence: no end is read out of words that prove none."""

from datetime import datetime
from typing import Any

import pytest
from container_executor_docker.states import Boot, job_status

from container_executor.models import FailureClass, JobState

STARTED, FINISHED = "2026-01-02T03:04:05.123456789Z", "2026-01-02T04:00:00.5Z"
BOOTED = datetime.fromisoformat("2026-01-02T03:59:00+00:00").timestamp()


def container(rank: int = 0, *, boot: str = "", **state: Any) -> dict[str, Any]:
    known = {"Status": "exited", "ExitCode": 0, "OOMKilled": False, "Error": ""}
    known |= {"StartedAt": STARTED, "FinishedAt": FINISHED}
    labels = {"container-executor.rank": str(rank)} | ({"container-executor.end-boot": f"{boot} 5.0"} if boot else {})
    return {"Id": "0123456789abcdef", "Image": "sha256:1", "State": known | state, "Config": {"Labels": labels}}


@pytest.mark.parametrize("word", ["running", "paused", "restarting", "removing", "a word of a later version"])
def test_a_word_that_is_no_end_is_none(word: str) -> None:
    status = job_status([container(Status=word)], 1)

    assert status.state is JobState.RUNNING
    assert status.ranks[0].exit_code is None


def test_success_needs_every_rank() -> None:
    assert job_status([container(0), container(1)], 2).state is JobState.SUCCEEDED

    status = job_status([container(0)], 2)

    assert status.state is JobState.FAILED
    assert status.failed_rank is not None
    assert (status.failed_rank.rank, status.failed_rank.failure) == (1, FailureClass.VANISHED)


def test_a_job_whose_containers_are_still_being_made_waits() -> None:
    assert job_status([container(0, Status="created")], 2).state is JobState.PENDING


@pytest.mark.parametrize(
    ("code", "boot", "failure", "kept"),
    [
        (255, "before", FailureClass.NODE_LOST, None),
        (255, "now", None, 255),
        (3, "before", None, 3),
    ],
)
def test_a_container_that_was_only_found_dead_after_a_restart_of_the_machine_is_lost(
    code: int, boot: str, failure: FailureClass | None, kept: int | None
) -> None:
    (rank,) = job_status([container(boot=boot, ExitCode=code)], 1, boot=Boot("now", BOOTED)).ranks

    assert (rank.state, rank.failure, rank.exit_code) == (JobState.FAILED, failure, kept)


def test_one_that_ended_before_the_restart_ended_by_itself() -> None:
    later = Boot("now", BOOTED + 3600)

    (rank,) = job_status([container(boot="before", ExitCode=255)], 1, boot=later).ranks

    assert (rank.failure, rank.exit_code) == (None, 255)


def test_one_rank_that_cannot_start_keeps_those_that_wait_from_it() -> None:
    broken = container(0, Status="created", Error="no such device")

    status = job_status([broken, container(1, Status="created")], 2)

    assert [rank.failure for rank in status.ranks] == [FailureClass.NEVER_STARTED] * 2
    assert status.ranks[1].reason == "rank 0 could not be started"


@pytest.mark.parametrize("code", [0, 137])
def test_what_a_container_noted_of_its_memory_counts_where_the_engine_missed_it(code: int) -> None:
    status = job_status([container(0), container(1, ExitCode=code)], 2, oom={1})

    assert [rank.failure for rank in status.ranks] == [None, FailureClass.OOM]
    assert (status.state, status.ranks[1].exit_code) == (JobState.FAILED, code)


def test_times_keep_their_microseconds() -> None:
    (rank,) = job_status([container()], 1).ranks

    assert rank.started is not None
    assert rank.started.isoformat() == "2026-01-02T03:04:05.123456+00:00"
