"""Websockets: a subscriber hears of each state that is entered, once, however many share a connection."""

import asyncio
import base64
import json
from typing import TYPE_CHECKING, Any

import aiohttp
import attrs

from container_executor.server.process import Process
from container_executor.server.subscriptions import MOST_UNREAD, Subscriber, Wish, of_process, of_type

if TYPE_CHECKING:
    from tests.server.conftest import Town

COLONY = "town"
WAITING, RUNNING, SUCCESS, FAILED, CANCELLED = range(5)
PATIENCE = 20.0


def subscription(town: "Town", who: str, msgtype: str, **fields: Any) -> str:
    payload = base64.b64encode(json.dumps({"msgtype": msgtype, "colonyname": COLONY, **fields}).encode())
    envelope = {"payloadtype": msgtype, "payload": payload.decode(), "signature": town.keys[who].sign(payload)}
    return json.dumps(envelope)


def one(town: "Town", processid: str, state: int, who: str = "user", seconds: int = 20) -> str:
    return subscription(town, who, "subscribeprocessmsg", processid=processid, state=state, timeout=seconds)


async def event(socket: aiohttp.ClientWebSocketResponse) -> dict[str, Any]:
    """Return the next event, or the refusal."""
    outer = json.loads(await asyncio.wait_for(socket.receive_str(), PATIENCE))
    found: dict[str, Any] = json.loads(base64.b64decode(outer["payload"]))
    assert outer["payloadtype"] == ("error" if outer["error"] else "subscribeprocessmsg")
    return found


async def in_thread(call: Any, *args: Any, **fields: Any) -> Any:
    return await asyncio.to_thread(call, *args, **fields)


def test_a_subscriber_hears_at_once_of_the_state_that_is_there(town: "Town") -> None:
    async def main() -> None:
        processid = await in_thread(town.submit)
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"ws://127.0.0.1:{town.port}/pubsub") as socket,
        ):
            await socket.send_str(one(town, processid, WAITING))
            found = await event(socket)
            assert (found["processid"], found["state"]) == (processid, WAITING)

    asyncio.run(main())


def test_many_subscriptions_share_one_connection(town: "Town") -> None:
    async def main() -> None:
        processids = [await in_thread(town.submit) for _ in range(20)]
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"ws://127.0.0.1:{town.port}/pubsub") as socket,
        ):
            for processid in processids:
                for state in (RUNNING, SUCCESS):
                    await socket.send_bytes(one(town, processid, state).encode())
            await socket.send_str(one(town, processids[0], WAITING))
            assert (await event(socket))["state"] == WAITING  # all that came before is in place
            for _ in processids:
                await in_thread(town.close, await in_thread(town.assign))
            heard = [await event(socket) for _ in range(40)]
        assert {(each["processid"], each["state"]) for each in heard} == {
            (processid, state) for processid in processids for state in (RUNNING, SUCCESS)
        }

    asyncio.run(main())


def test_a_cancel_and_a_deadline_are_heard_of(town: "Town") -> None:
    async def main() -> None:
        cancelled = await in_thread(town.submit)
        late = await in_thread(town.submit, maxexectime=1, maxretries=1)
        assert {await in_thread(town.assign), await in_thread(town.assign)} == {cancelled, late}
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"ws://127.0.0.1:{town.port}/pubsub") as socket,
        ):
            await socket.send_str(one(town, late, WAITING))
            await socket.send_str(one(town, cancelled, CANCELLED))
            await socket.send_str(one(town, cancelled, RUNNING))
            assert (await event(socket))["state"] == RUNNING
            await in_thread(town.call, "user", "cancelprocessmsg", processid=cancelled)
            heard = [await event(socket) for _ in range(2)]
        assert {(each["processid"], each["state"], each["retries"]) for each in heard} == {
            (cancelled, CANCELLED, 0),
            (late, WAITING, 1),
        }

    asyncio.run(main())


def test_all_processes_of_a_type_are_heard_of_by_an_executor_of_the_colony(town: "Town") -> None:
    async def main() -> None:
        ask = subscription(town, "e1", "subscribeprocessesmsg", executortype="builder", state=WAITING, timeout=20)
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"ws://127.0.0.1:{town.port}/pubsub") as socket,
        ):
            await socket.send_str(ask)
            await socket.send_str("{}")
            assert (await event(socket))["status"] == 403  # and so the one before is in place
            await in_thread(town.submit, {"executortype": "other"})
            processid = await in_thread(town.submit)
            assert (await event(socket))["processid"] == processid

    asyncio.run(main())


def test_who_may_not_hear_is_told_so(town: "Town") -> None:
    async def main() -> None:
        processid = await in_thread(town.submit)
        asked = [
            one(town, processid, WAITING, who="stranger"),
            one(town, "00" * 32, WAITING),
            subscription(town, "user", "subscribeprocessesmsg", executortype="builder", state=0, timeout=5),
            subscription(town, "user", "getcoloniesmsg"),
            subscription(town, "user", "subscribeprocessmsg", state="x"),
            "nonsense",
        ]
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"ws://127.0.0.1:{town.port}/pubsub") as socket,
        ):
            for each in asked:
                await socket.send_str(each)
            answers = [await event(socket) for _ in asked]
            assert [each["status"] for each in answers] == [403, 403, 403, 403, 400, 400]
            await socket.send_str(one(town, processid, WAITING))
            assert (await event(socket))["processid"] == processid

    asyncio.run(main())


def test_the_connection_ends_with_the_time_that_was_asked_for(town: "Town") -> None:
    async def main() -> None:
        processid = await in_thread(town.submit)
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"ws://127.0.0.1:{town.port}/pubsub") as socket,
        ):
            await socket.send_str(one(town, processid, RUNNING, seconds=1))
            end = await asyncio.wait_for(socket.receive(), PATIENCE)
            assert end.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)

    asyncio.run(main())


def test_a_too_large_request_ends_only_its_connection(town: "Town") -> None:
    async def main() -> None:
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"ws://127.0.0.1:{town.port}/pubsub") as socket,
        ):
            await socket.send_str("x" * (2**20 + 1))
            end = await asyncio.wait_for(socket.receive(), PATIENCE)
            assert end.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)
        await in_thread(town.submit)

    asyncio.run(main())


def test_a_reader_that_is_too_slow_is_given_up() -> None:
    subscriber = Subscriber()

    for number in range(MOST_UNREAD + 10):
        subscriber.offer(str(number))

    unread = [subscriber.unread.get_nowait() for _ in range(subscriber.unread.qsize())]
    assert len(unread) <= MOST_UNREAD
    assert None in unread


def test_a_wish_is_for_one_process_or_for_one_colony_and_type() -> None:
    blank: dict[str, Any] = {field.name: "" if field.type is str else 0 for field in attrs.fields(Process)}
    process = Process(**{**blank, "processid": "p", "colony": "c", "executortype": "t", "state": RUNNING})

    assert of_process(process) == Wish("", "", "p", RUNNING)
    assert of_type(process) == Wish("c", "t", "", RUNNING)
    assert Wish("", "", "p", RUNNING).matches(process)
    assert not Wish("", "", "p", WAITING).matches(process)
    assert not Wish("other", "t", "", RUNNING).matches(process)
