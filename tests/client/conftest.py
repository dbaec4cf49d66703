"""A Colonies server that answers what a test tells it, and misbehaves as it is told."""

import asyncio
import base64
import io
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any, TypeVar

import anyio
import attrs
import pytest
from aiohttp import web

from container_executor.client import Client, Identity
from container_executor.client.signing import signer_of

T = TypeVar("T")
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Answering = Callable[[web.Request], Awaitable[web.StreamResponse]]

KEY = "ddf7f7791208083b6a9ed975a72684f6406a269cfa36f1b1c32045c0a71fff05"
ME = "3fc05cf3df4b494e95d6a3d297a34f19938f7daa7422ab0d4f794454133341ac"
PROCESS = "ab" * 32
PATIENCE = 20.0  # seconds after which a test that hangs fails


@attrs.frozen
class Received:
    """A call as the server saw it."""

    message: str
    fields: dict[str, Any]
    signer: str


def process_json(**over: Any) -> dict[str, Any]:
    """Return a process as the Go server writes a fresh one."""
    unset = "0001-01-01T00:00:00Z"
    conditions = {"colonyname": "dev", "executortype": "container-executor", "executornames": None}
    return {
        "processid": PROCESS,
        "initiatorid": "cd" * 32,
        "initiatorname": "alice",
        "assignedexecutorid": "",
        "isassigned": False,
        "state": 0,
        "prioritytime": 1_700_000_000_000_000_000,
        "submissiontime": "2026-01-02T03:04:05.123456789Z",
        "starttime": unset,
        "endtime": unset,
        "waitdeadline": unset,
        "execdeadline": unset,
        "retries": 0,
        "attributes": None,
        "spec": {"funcname": "execute", "conditions": conditions, "maxexectime": 60},
        "waitforparents": False,
        "parents": [],
        "children": [],
        "processgraphid": "",
        "in": [],
        "out": [],
        "errors": None,
        **over,
    }


def running_json(**over: Any) -> dict[str, Any]:
    """Return a process that was assigned to the test's own identity."""
    assigned = {"state": 1, "isassigned": True, "assignedexecutorid": ME, "starttime": "2026-01-02T03:04:06.5Z"}
    return process_json(**{**assigned, **over})


def envelope(kind: str, value: Any, *, error: bool = False) -> str:
    """Return an answer's body around *value*; a text is taken as the inner JSON itself."""
    inner = value if isinstance(value, str) else json.dumps(value)
    payload = base64.b64encode(inner.encode()).decode()
    return json.dumps({"payloadtype": kind, "payload": payload, "error": error})


def refusal(status: int, text: str) -> Answering:
    """Answer with an error as the server writes them."""
    return raw(envelope("error", {"status": status, "message": text}, error=True), status)


def raw(body: str | bytes, status: int = 200, **headers: str) -> Answering:
    """Answer with any body."""

    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(
            body=io.BytesIO(body.encode() if isinstance(body, str) else body), status=status, headers=headers
        )

    return answer


async def reset(request: web.Request) -> web.StreamResponse:
    """Take the call and break the connection without an answer."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


@asynccontextmanager
async def listening(talk: Talk, context: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Serve something that is no Colonies server; yields its host and port, and ends when all talks are over."""
    talks: set[asyncio.Task[Any] | None] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talks.add(asyncio.current_task())
        with suppress(OSError):
            await talk(reader, writer)
            writer.close()
            await writer.wait_closed()

    async with await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context) as server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        await asyncio.gather(*(task for task in talks if task))


@attrs.define(eq=False)
class Script:
    """What the server is to answer, and what it was asked.

    Answers to a message are used up in order; the last one stays. A value is wrapped into a good answer; a function is called
    with the request.
    """

    calls: list[Received] = attrs.Factory(list)
    connections: set[Any] = attrs.Factory(set)
    sockets: list[Any] = attrs.Factory(list)
    _answers: dict[str, list[Any]] = attrs.Factory(dict)
    path: str = ""
    threaded: bool = False

    def answer(self, message: str, *answers: Any) -> None:
        """Set the answers to a message."""
        self._answers[message] = list(answers)

    def asked(self, message: str) -> list[dict[str, Any]]:
        """Return the fields of all calls of a message."""
        return [call.fields for call in self.calls if call.message == message]

    def run(self, use: Callable[[Client], Awaitable[T]], **options: Any) -> T:
        """Start the server, call *use* with a client of it, and return what it returns."""

        async def main() -> T:
            with anyio.fail_after(PATIENCE):
                async with self.serving() as url, self.client(url, **options) as client:
                    return await use(client)

        return anyio.run(main)

    def client(self, url: str, **options: Any) -> Client:
        """Return a client for the server at *url*."""
        settings = {"timeout": timedelta(seconds=5), **options}
        client = Client(url, "dev", Identity(KEY), **settings)
        return client.threaded() if self.threaded else client

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """Serve on loopback; yields the address."""
        app = web.Application(client_max_size=2**27)
        app.router.add_post(self.path + "/api", self._api)
        app.router.add_get(self.path + "/pubsub", self._pubsub)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            yield f"http://127.0.0.1:{runner.addresses[0][1]}{self.path}"
        finally:
            await runner.cleanup()

    async def _api(self, request: web.Request) -> web.StreamResponse:
        self.connections.add(request.transport)
        message = self._note(await request.text())
        answers = self._answers[message]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if callable(answer):
            response = await answer(request)
            assert isinstance(response, web.StreamResponse)
            return response
        return web.Response(text=envelope(message, answer))

    async def _pubsub(self, request: web.Request) -> web.StreamResponse:
        self.sockets.append(request.transport)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        message = self._note(await socket.receive_str())
        for event in self._answers[message]:
            if isinstance(event, asyncio.Event):
                await event.wait()
            elif isinstance(event, bytes):
                await socket.send_bytes(event)
            else:
                await socket.send_str(event if isinstance(event, str) else envelope(message, event))
        assert request.transport is not None
        request.transport.abort()
        return socket

    def _note(self, body: str) -> str:
        outer = json.loads(body)
        inner = json.loads(base64.b64decode(outer["payload"]))
        signature = outer["signature"]
        signer = signer_of(outer["payload"].encode(), signature) if signature else ""
        message: str = inner.pop("msgtype")
        assert message == outer["payloadtype"]
        self.calls.append(Received(message, inner, signer))
        return message


@pytest.fixture(params=["loop", "threads"])
def script(request: pytest.FixtureRequest) -> Script:
    """A server; its client makes its calls in the event loop, or in threads."""
    return Script(threaded=request.param == "threads")
