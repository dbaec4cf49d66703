"""Asking for work."""

from typing import Any

import pytest

from container_executor.client import (
    Client,
    NoAnswerError,
    NotFoundError,
    PausedError,
    Process,
    ProtocolError,
    ServerFaultError,
)
from tests.client.conftest import ME, PROCESS, Script, process_json, refusal, reset, running_json

NONE = refusal(404, "No process available for assignment")


async def ask(client: Client) -> Process | None:
    return await client.assign(timeout=10, cpu=1500, memory=3 * 2**30)


def test_an_assigned_process_is_returned(script: Script) -> None:
    script.answer("assignprocessmsg", running_json())

    process = script.run(ask)

    assert process is not None
    assert (process.id, process.executor_id) == (PROCESS, ME)


def test_what_is_free_is_sent_in_the_servers_own_units(script: Script) -> None:
    script.answer("assignprocessmsg", NONE)

    script.run(ask)

    assert script.asked("assignprocessmsg") == [
        {"colonyname": "dev", "timeout": 10, "availablecpu": "1500m", "availablemem": "3072Mi"}
    ]


def test_no_more_memory_is_offered_than_is_free(script: Script) -> None:
    script.answer("assignprocessmsg", NONE)

    script.run(lambda client: client.assign(timeout=1, cpu=0, memory=2 * 2**20 - 1))

    assert script.asked("assignprocessmsg")[0]["availablemem"] == "1Mi"
    assert script.asked("assignprocessmsg")[0]["availablecpu"] == "0m"


def test_no_bound_is_sent_where_none_is_given(script: Script) -> None:
    script.answer("assignprocessmsg", NONE)

    script.run(lambda client: client.assign(timeout=1))

    assert (
        script.asked("assignprocessmsg")[0]["availablecpu"],
        script.asked("assignprocessmsg")[0]["availablemem"],
    ) == ("", "")


def test_no_work_is_none(script: Script) -> None:
    script.answer("assignprocessmsg", NONE)

    assert script.run(ask) is None


def test_staying_registered_asks_for_less_than_nothing_and_does_not_wait(script: Script) -> None:
    script.answer("assignprocessmsg", NONE)

    assert script.run(lambda client: client.keep_alive()) is None
    assert script.asked("assignprocessmsg") == [
        {"colonyname": "dev", "timeout": -1, "availablecpu": "-1m", "availablemem": "-1Mi"}
    ]


def test_a_process_that_staying_registered_brings_is_not_lost(script: Script) -> None:
    """A spec with negative needs is accepted by the server, and matches."""
    script.answer("assignprocessmsg", running_json())

    process = script.run(lambda client: client.keep_alive())

    assert process is not None
    assert process.id == PROCESS


@pytest.mark.parametrize("status", [408, 503])
def test_a_paused_colony_is_told_apart_from_no_work(script: Script, status: int) -> None:
    script.answer("assignprocessmsg", refusal(status, "No processes available: colony assignments are paused"))

    with pytest.raises(PausedError):
        script.run(ask)


def test_an_assign_call_that_meets_a_broken_workflow_is_a_fault_of_the_server_and_no_lack_of_work(
    script: Script,
) -> None:
    script.answer("assignprocessmsg", refusal(500, "Failed to resolve process graph"))

    with pytest.raises(ServerFaultError):
        script.run(ask)


def test_an_identity_that_is_no_executor_is_told_so(script: Script) -> None:
    script.answer("assignprocessmsg", refusal(500, "Failed to assign process, executor not found"))

    with pytest.raises(NotFoundError, match="executor not found"):
        script.run(ask)


def test_an_assign_call_whose_answer_is_lost_is_never_sent_again(script: Script) -> None:
    script.answer("assignprocessmsg", reset)

    with pytest.raises(NoAnswerError):
        script.run(ask)

    assert len(script.asked("assignprocessmsg")) == 1


def test_after_a_lost_assignment_the_server_is_asked_what_runs_on_us(script: Script) -> None:
    script.answer("assignprocessmsg", reset)
    script.answer("getprocesshistmsg", [running_json()])

    async def recover(client: Client) -> list[Process]:
        with pytest.raises(NoAnswerError):
            await ask(client)
        return await client.running_on(client.identity.id)

    assert [process.id for process in script.run(recover)] == [PROCESS]
    assert script.asked("getprocesshistmsg") == [
        {"colonyname": "dev", "executorid": ME, "seconds": 100_000_000, "state": 1},
    ]


NOT_OURS: dict[str, Any] = {
    "one that waits": process_json(assignedexecutorid=ME),
    "one of another executor": running_json(assignedexecutorid="cd" * 32),
    "one of another colony": running_json(spec={"conditions": {"colonyname": "other"}}),
    "one without an id": running_json(processid=""),
    "nothing": {},
    "null": None,
}


@pytest.mark.parametrize("name", NOT_OURS)
def test_a_process_that_was_not_assigned_to_us_is_not_taken(script: Script, name: str) -> None:
    script.answer("assignprocessmsg", NOT_OURS[name])

    with pytest.raises(ProtocolError):
        script.run(ask)


def test_a_poll_of_no_time_at_all_is_a_mistake_of_the_caller(script: Script) -> None:
    with pytest.raises(ValueError, match="at least 1 second"):
        script.run(lambda client: client.assign(timeout=0))

    assert script.calls == []
