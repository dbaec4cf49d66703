"""The way between client and server: limits of time, size and number, lost answers, and wrong addresses."""

import asyncio
import gzip
import ssl
import subprocess
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from aiohttp import web

from container_executor.client import Client, Identity, NoAnswerError, Process, ProcessState, ProtocolError
from container_executor.errors import SettingsError
from tests.client.conftest import (
    KEY,
    ME,
    PROCESS,
    Script,
    envelope,
    listening,
    process_json,
    raw,
    refusal,
    reset,
    running_json,
)

Ask = Callable[[Client], Awaitable[Any]]


async def get(client: Client) -> Process:
    return await client.process(PROCESS)


async def silent(_request: web.Request) -> web.StreamResponse:
    """Take the call and never answer."""
    await asyncio.Event().wait()
    raise AssertionError


# --- lost answers -----------------------------------------------------------------------------------------------------


def test_a_call_that_only_reads_is_sent_once_more_when_the_connection_breaks(script: Script) -> None:
    script.answer("getprocessmsg", reset, process_json())

    assert script.run(get).id == PROCESS
    assert len(script.asked("getprocessmsg")) == 2


def test_sending_a_call_once_more_prints_nothing(script: Script, capfd: pytest.CaptureFixture[str]) -> None:
    """What a program prints on its standard output is its own affair: it may be JSON."""
    script.answer("getprocessmsg", reset, process_json())

    script.run(get)

    assert capfd.readouterr() == ("", "")


def test_a_call_that_only_reads_is_not_sent_for_ever(script: Script) -> None:
    script.answer("getprocessmsg", reset)

    with pytest.raises(NoAnswerError):
        script.run(get)

    assert len(script.asked("getprocessmsg")) == 2


def test_a_refusal_is_not_sent_again(script: Script) -> None:
    script.answer("getprocessmsg", refusal(404, "process not found"))

    with pytest.raises(Exception, match="process not found"):
        script.run(get)

    assert len(script.asked("getprocessmsg")) == 1


ONCE: dict[str, Ask] = {
    "submitfuncspecmsg": lambda client: client.submit({"funcname": "f"}),
    "submitworkflowspecmsg": lambda client: client.submit_workflow([]),
    "assignprocessmsg": lambda client: client.assign(timeout=1),
    "addlogmsg": lambda client: client.add_log(PROCESS, "x"),
    "addexecutorlogmsg": lambda client: client.add_executor_log("one", "x"),
    "addattributemsg": lambda client: client.add_attribute(PROCESS, "k", "v"),
    "setoutputmsg": lambda client: client.set_output(PROCESS, []),
    "closesuccessfulmsg": lambda client: client.close_successful(PROCESS, []),
    "closefailedmsg": lambda client: client.close_failed(PROCESS, []),
    "cancelprocessmsg": lambda client: client.cancel(PROCESS),
    "removeprocessmsg": lambda client: client.remove(PROCESS),
    "addexecutormsg": lambda client: client.add_executor({"executorname": "one"}),
    "removeexecutormsg": lambda client: client.remove_executor("one"),
    "addfunctionmsg": lambda client: client.add_function("one", "t", "execute", ""),
    "createsnapshotmsg": lambda client: client.create_snapshot("/l", "s"),
    "removefilemsg": lambda client: client.remove_file(label="/l", name="x"),
}


@pytest.mark.parametrize("message", ONCE)
def test_a_call_that_changes_something_is_never_sent_twice(script: Script, message: str) -> None:
    """Above all not a close: there is no token, so that a second one might end the next attempt or overwrite an output."""
    script.answer(message, reset)

    with pytest.raises(NoAnswerError):
        script.run(ONCE[message])

    assert len(script.asked(message)) == 1


def test_an_answer_that_breaks_off_is_no_answer(script: Script) -> None:
    async def cut(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b'{"payloadtype":')
        assert request.transport is not None
        request.transport.close()
        return response

    script.answer("addlogmsg", cut)

    with pytest.raises(NoAnswerError):
        script.run(lambda client: client.add_log(PROCESS, "x"))


def test_a_server_that_is_not_there_is_no_answer() -> None:
    async def main() -> None:
        async with Client("http://127.0.0.1:9", "dev", Identity(KEY)) as client:
            await client.version()

    with pytest.raises(NoAnswerError, match=r"http://127\.0\.0\.1:9"):
        anyio.run(main)


def test_a_name_that_nobody_knows_is_no_answer() -> None:
    async def main() -> None:
        async with Client("http://nowhere.invalid", "dev", Identity(KEY)) as client:
            await client.version()

    with pytest.raises(NoAnswerError, match=r"nowhere\.invalid"):
        anyio.run(main)


# --- time -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ask", [get, lambda client: client.add_log(PROCESS, "x")])
def test_a_server_that_never_answers_is_given_up(script: Script, ask: Ask) -> None:
    script.answer("getprocessmsg", silent)
    script.answer("addlogmsg", silent)

    with pytest.raises(NoAnswerError, match="did not answer in time"):
        script.run(ask, timeout=timedelta(seconds=0.3))

    assert len(script.calls) == 1


def test_a_server_that_answers_a_byte_now_and_then_is_given_up(script: Script) -> None:
    async def trickle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b" ")
            await asyncio.sleep(0.02)

    script.answer("getprocessmsg", trickle)

    with pytest.raises(NoAnswerError, match="did not answer in time"):
        script.run(get, timeout=timedelta(seconds=0.3))


def test_a_poll_may_take_longer_than_other_calls_may(script: Script) -> None:
    async def late(_request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(0.6)
        return web.Response(text=envelope("assignprocessmsg", running_json()))

    script.answer("assignprocessmsg", late)

    process = script.run(lambda client: client.assign(timeout=1), timeout=timedelta(seconds=0.2))

    assert process is not None


# --- size -------------------------------------------------------------------------------------------------------------


def test_an_answer_larger_than_the_limit_is_dropped_while_it_comes(script: Script) -> None:
    sent = 0

    async def endless(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 65536)
            sent += 65536

    script.answer("getprocessmsg", endless)

    with pytest.raises(ProtocolError, match="larger than 1000000 bytes"):
        script.run(get, reply_limit=1_000_000)

    assert sent < 50_000_000


def test_a_small_answer_that_would_unpack_to_a_huge_one_is_not_unpacked(script: Script) -> None:
    script.answer("getprocessmsg", raw(gzip.compress(b" " * 50_000_000), 200, **{"Content-Encoding": "gzip"}))

    with pytest.raises(ProtocolError, match="no answer of a Colonies server"):
        script.run(get, reply_limit=1_000_000)


def test_a_log_of_several_megabytes_is_sent_and_read(script: Script) -> None:
    text = "x" * 5_000_000
    script.answer("addlogmsg", {})
    script.answer("getlogsmsg", [{"processid": PROCESS, "message": text, "timestamp": 1}])

    async def both(client: Client) -> str:
        await client.add_log(PROCESS, text)
        return (await client.logs(PROCESS))[0].message

    assert script.run(both) == text == script.asked("addlogmsg")[0]["message"]


# --- number -----------------------------------------------------------------------------------------------------------


class Crowd:
    """Counts calls that are in the server at once, and lets them go when told."""

    def __init__(self) -> None:
        self.inside = 0
        self.most = 0
        self.served = 0
        self.go = asyncio.Event()
        self._changed = asyncio.Condition()

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        await self._count(1)
        await self.go.wait()
        await self._count(-1)
        return await raw(envelope("getprocessmsg", process_json()))(request)

    async def until(self, reached: Callable[[], bool]) -> None:
        async with self._changed:
            await self._changed.wait_for(reached)

    async def _count(self, change: int) -> None:
        async with self._changed:
            self.inside += change
            self.most = max(self.most, self.inside)
            self.served += change < 0
            self._changed.notify_all()


def test_no_more_than_eight_calls_of_a_family_are_in_flight_at_once(script: Script) -> None:
    """More at once than the server has database connections for can lock it up for good."""

    async def flood(client: Client) -> Crowd:
        crowd = Crowd()
        script.answer("getprocessmsg", crowd)
        script.answer("assignprocessmsg", silent)
        others = [client, client.as_(Identity.new())]
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: client.assign(timeout=1))
            for index in range(60):
                group.start_soon(get, others[index % 2])
            await crowd.until(lambda: crowd.inside >= 7)
            await anyio.wait_all_tasks_blocked()
            crowd.go.set()
            await crowd.until(lambda: crowd.served == 60)
            group.cancel_scope.cancel()
        return crowd

    assert script.run(flood).most == 7  # and the poll is the eighth


def test_a_poll_neither_waits_for_other_calls_nor_holds_them_up(script: Script) -> None:
    async def side_by_side(client: Client) -> Process | None:
        crowd = Crowd()
        script.answer("getprocessmsg", crowd)
        script.answer("assignprocessmsg", running_json())
        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(get, client)
            await crowd.until(lambda: crowd.inside >= 7)
            process = await client.assign(timeout=1)
            crowd.go.set()
        return process

    process = script.run(side_by_side)

    assert process is not None
    assert process.executor_id == ME


def test_one_identity_polls_once_at_a_time_and_others_beside_it(script: Script) -> None:
    async def poll(client: Client) -> None:
        await client.assign(timeout=1)

    async def polls(client: Client) -> int:
        crowd = Crowd()
        script.answer("assignprocessmsg", crowd)
        other = client.as_(Identity.new())
        async with anyio.create_task_group() as group:
            for polling in (client, client, client.as_(client.identity), other):
                group.start_soon(poll, polling)
            await crowd.until(lambda: crowd.inside >= 2)
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()
        return crowd.most

    assert script.run(polls) == 2


def test_calls_one_after_the_other_share_a_connection(script: Script) -> None:
    script.answer("getprocessmsg", process_json())

    async def ten(client: Client) -> None:
        for _ in range(10):
            await get(client)

    script.run(ten)

    assert len(script.connections) == 1


def test_a_call_that_is_given_up_gives_its_place_back(script: Script) -> None:
    """At once; one that a thread makes, once its time is over."""
    timeout = timedelta(seconds=0.3 if script.threaded else 5)
    arrived: list[asyncio.Event] = []

    async def hang(request: web.Request) -> web.StreamResponse:
        arrived[-1].set()
        return await silent(request)

    async def give_up(client: Client) -> None:
        arrived.append(asyncio.Event())
        async with anyio.create_task_group() as group:
            group.start_soon(get, client)
            await arrived[-1].wait()
            group.cancel_scope.cancel()

    async def again_and_again(client: Client) -> str:
        script.answer("getprocessmsg", *[hang] * 5, process_json())
        for _ in range(5):
            await give_up(client)
        return (await get(client)).id

    assert script.run(again_and_again, limit=2, timeout=timeout) == PROCESS


# --- addresses --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_server_may_live_below_a_path(script: Script, slash: str) -> None:
    script.path = "/colonies/here"
    script.answer("getprocessmsg", process_json())

    async def main() -> str:
        async with script.serving() as url, script.client(url + slash) as client:
            return (await get(client)).id

    assert anyio.run(main) == PROCESS


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:50080",
        "ftp://host",
        "http://",
        "/api",
        "http://host:port",
        "http://[::1",
        "x" * 9,
        "http://host:0",
        "http://host/a b",
        "http://host/\r\nX: 1",
        "http://höst",
    ],
)
def test_an_address_that_is_none_is_refused_with_an_example(url: str) -> None:
    with pytest.raises(SettingsError, match="write http://host:port"):
        Client(url, "dev", Identity(KEY))


@pytest.mark.parametrize(
    "url", ["http://me:secret@host", "http://me:secret@host:x", "http://host/?key=secret", "http://host/#secret"]
)
def test_an_address_with_more_than_an_address_is_refused_and_its_secret_not_shown(url: str) -> None:
    with pytest.raises(SettingsError, match="no user, password, query or fragment") as caught:
        Client(url, "dev", Identity(KEY))

    assert "secret" not in str(caught.value)


def test_a_redirect_is_not_followed(script: Script) -> None:
    script.answer("addlogmsg", raw(b"", 307, Location="http://127.0.0.1:9/api"))

    with pytest.raises(ProtocolError, match="HTTP status 307"):
        script.run(lambda client: client.add_log(PROCESS, "x"))


def test_something_that_does_not_speak_http_is_named() -> None:
    async def hello(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")

    async def main() -> None:
        async with listening(hello) as place, Client(f"http://{place}", "dev", Identity(KEY)) as client:
            with pytest.raises(ProtocolError, match="does not answer as a Colonies server does"):
                await client.version()

    anyio.run(main)


def test_https_to_a_server_of_plain_http_says_so(script: Script) -> None:
    async def main() -> None:
        async with script.serving() as url, script.client(url.replace("http:", "https:")) as client:
            await client.version()

    with pytest.raises(ProtocolError, match="does it want http://"):
        anyio.run(main)


def test_a_certificate_that_nobody_vouches_for_is_not_accepted(tmp_path: Path) -> None:
    async def never(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        raise AssertionError("somebody has accepted the certificate")

    async def main() -> None:
        async with (
            listening(never, _certificate(tmp_path)) as place,
            Client(f"https://{place}", "dev", Identity(KEY)) as client,
        ):
            with pytest.raises(ProtocolError, match="certificate that is not trusted"):
                await client.version()

    anyio.run(main)


def _certificate(folder: Path) -> ssl.SSLContext:
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "1",
    ]
    command += ["-subj", "/CN=127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True, timeout=30)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


# --- life -------------------------------------------------------------------------------------------------------------


def test_a_client_that_was_closed_says_so(script: Script) -> None:
    async def use(client: Client) -> None:
        other = client.as_(Identity.new())
        await client.close()
        await other.processes(ProcessState.WAITING)

    with pytest.raises(RuntimeError, match="the client is closed"):
        script.run(use)


def test_a_client_may_be_made_before_there_is_a_loop_and_closed_unused() -> None:
    client = Client("http://127.0.0.1:9", "dev", Identity(KEY))

    anyio.run(client.close)
