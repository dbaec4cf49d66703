"""Waiting for a process over a websocket."""

import asyncio
from datetime import timedelta
from typing import Any

import anyio
import pytest

from container_executor.client import Client, DeniedError, Identity, NoAnswerError, Process, ProcessState, ProtocolError
from tests.client.conftest import ME, PROCESS, Script, envelope, listening, process_json, running_json

MINUTE = timedelta(minutes=1)


async def watch(client: Client) -> list[Process]:
    return [process async for process in client.subscribe(PROCESS, ProcessState.RUNNING, MINUTE)]


def test_every_event_is_yielded_until_the_server_closes_the_connection(script: Script) -> None:
    script.answer("subscribeprocessmsg", running_json(), running_json(retries=1))

    assert [process.attempt for process in script.run(watch)] == [0, 1]
    assert script.asked("subscribeprocessmsg") == [
        {"colonyname": "dev", "processid": PROCESS, "executortype": "", "state": 1, "timeout": 60}
    ]
    assert script.calls[0].signer == ME


def test_a_part_of_a_second_is_rounded_up_for_zero_would_close_at_once(script: Script) -> None:
    script.answer("subscribeprocessmsg")

    async def short(client: Client) -> None:
        async for _ in client.subscribe(PROCESS, ProcessState.RUNNING, timedelta(seconds=0.2)):
            pass

    script.run(short)

    assert script.asked("subscribeprocessmsg")[0]["timeout"] == 1


def test_each_subscription_has_a_connection_of_its_own_for_two_on_one_bring_the_server_down(script: Script) -> None:
    script.answer("subscribeprocessmsg", running_json())
    script.answer("getprocessmsg", process_json())

    async def three(client: Client) -> None:
        for _ in range(3):
            await watch(client)
            await client.process(PROCESS)
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(watch, client)

    script.run(three)

    assert len(script.asked("subscribeprocessmsg")) == 6
    assert len(set(script.sockets)) == 6


def test_a_subscription_takes_no_place_from_other_calls(script: Script) -> None:
    script.answer("getprocessmsg", process_json())

    async def beside(client: Client) -> str:
        script.answer("subscribeprocessmsg", asyncio.Event())
        async with anyio.create_task_group() as group:
            for _ in range(10):
                group.start_soon(watch, client)
            answer = await client.process(PROCESS)
            group.cancel_scope.cancel()
        return answer.id

    assert script.run(beside, limit=1) == PROCESS


def test_whoever_has_seen_enough_may_stop(script: Script) -> None:
    async def first(client: Client) -> int:
        script.answer("subscribeprocessmsg", running_json(retries=7), asyncio.Event())
        async for process in client.subscribe(PROCESS, ProcessState.RUNNING, MINUTE):
            return process.attempt
        raise AssertionError

    assert script.run(first) == 7


def test_a_server_that_forgets_to_close_the_connection_is_left(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("container_executor.client.client._HELD_MARGIN", timedelta(seconds=-0.7))

    async def wait(client: Client) -> list[Process]:
        script.answer("subscribeprocessmsg", asyncio.Event())
        return [process async for process in client.subscribe(PROCESS, ProcessState.RUNNING, timedelta(seconds=1))]

    assert script.run(wait) == []


def test_a_server_that_never_opens_the_websocket_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("container_executor.client.transport.CONNECT", 0.3)

    async def mute(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async def main() -> None:
        async with listening(mute) as place, Client(f"http://{place}", "dev", Identity.new()) as client:
            with pytest.raises(NoAnswerError, match="did not answer in time"):
                await watch(client)

    anyio.run(main)


def test_a_refusal_is_raised(script: Script) -> None:
    script.answer(
        "subscribeprocessmsg", envelope("error", {"status": 403, "message": "executor not found"}, error=True)
    )

    with pytest.raises(DeniedError):
        script.run(watch)


WRONG: dict[str, Any] = {
    "another process": process_json(processid="cd" * 32),
    "garbage": "garbage",
    "bytes": b"\xff\xfe",
    "an error without words": envelope("error", {}, error=True),
    "another kind of answer": envelope("getprocessmsg", process_json()),
}


@pytest.mark.parametrize("name", WRONG)
def test_an_event_that_cannot_be_trusted_is_a_protocol_error(script: Script, name: str) -> None:
    script.answer("subscribeprocessmsg", WRONG[name])

    with pytest.raises(ProtocolError):
        script.run(watch, reply_limit=1_000_000)


def test_an_event_larger_than_the_limit_is_not_taken(script: Script) -> None:
    script.answer("subscribeprocessmsg", running_json(errors=["x" * 2_000_000]))

    with pytest.raises(ProtocolError, match="broke the rules of the websocket"):
        script.run(watch, reply_limit=1_000_000)


def test_a_server_without_websockets_is_named(script: Script) -> None:
    async def elsewhere() -> None:
        async with script.serving() as url, script.client(url + "/nowhere") as client:
            await watch(client)

    with pytest.raises(ProtocolError, match="does not answer as a Colonies server does"):
        anyio.run(elsewhere)


def test_a_server_that_is_not_there_is_no_answer(script: Script) -> None:
    async def nowhere() -> None:
        async with script.client("http://127.0.0.1:9") as client:
            await watch(client)

    with pytest.raises(NoAnswerError):
        anyio.run(nowhere)
