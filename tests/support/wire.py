"""An HTTP server that stands before an engine or a store and does not keep its promises: chosen calls are lost, cut, refused or left silent."""

import enum
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import attrs
from aiohttp import web
from anyio.from_thread import BlockingPortal
from yarl import URL

_HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "upgrade", "te", "trailer"})


class Fault(enum.Enum):
    """What becomes of a call."""

    LOSE_CALL = "the connection is reset before anybody sees the call"
    LOSE_REPLY = "the call is carried out, and the connection is reset before the answer"
    CUT = "the call is carried out, and the connection is reset within the answer"
    FAIL = "the answer is 500, and nobody sees the call"
    FAIL_AFTER = "the call is carried out, and the answer is 500"
    BUSY = "the answer is 429, and nobody sees the call"
    DENY = "the answer is 403, and nobody sees the call"
    LATE = "it waits before anybody sees it"
    SILENT = "there is never an answer, and the connection stays open"


LOSSES = (Fault.LOSE_REPLY, Fault.CUT, Fault.FAIL_AFTER, Fault.BUSY, Fault.FAIL, Fault.LOSE_CALL)
"""Whatever becomes of a call that makes something: three times it was carried out and nobody knows, three times it was not."""
_ANSWERS = {Fault.FAIL: 500, Fault.FAIL_AFTER: 500, Fault.BUSY: 429, Fault.DENY: 403}


@attrs.frozen
class Upstream:
    """The real server: an ``http://`` or ``https://`` address, or the path of a Unix socket."""

    address: str

    @property
    def url(self) -> str:
        """What requests are sent to."""
        return "http://localhost" if self.address.startswith("/") else self.address

    def connector(self) -> aiohttp.BaseConnector:
        """Return what opens connections; certificates are not verified, as the server is one of the tests'."""
        if self.address.startswith("/"):
            return aiohttp.UnixConnector(self.address, limit=0)
        return aiohttp.TCPConnector(limit=0, ssl=False)


@attrs.define(eq=False)
class Wire:
    """Passes calls and their endless answers on, except for those that it was told to harm.

    A call is named by its method and path, as ``GET /v1.41/info``; patterns are regular expressions that are searched in that.

    Attributes:
        upstream: The real server.
        portal: The event loop that it runs in.
        socket: Where it listens, None for a port of loopback.
        port: Its port.
        delay: Seconds that a call with LATE waits.
        cut_after: Bytes of an answer with CUT that arrive.
        answered: Every call that the real server answered, with the status of its answer.
    """

    upstream: Upstream
    portal: BlockingPortal
    socket: Path | None = None
    port: int = 0
    delay: float = 5.0
    cut_after: int = 20
    answered: list[tuple[str, int]] = attrs.field(factory=list)
    _plans: dict[str, list[Fault]] = attrs.field(factory=dict)
    _always: dict[str, Fault] = attrs.field(factory=dict)
    _open: dict[Any, str] = attrs.field(factory=dict)
    _stalled: set[Any] = attrs.field(factory=set)
    _runner: web.AppRunner | None = None
    _session: aiohttp.ClientSession | None = None

    def start(self) -> None:
        """Listen."""
        self.portal.call(self._start)

    def stop(self) -> None:
        """Listen no more."""
        self.portal.call(self._stop)

    def harm(self, pattern: str, *faults: Fault) -> None:
        """Do *faults* to the next calls that match, one each."""
        self._plans.setdefault(pattern, []).extend(faults)

    def always(self, pattern: str, fault: Fault) -> None:
        """Do *fault* to every call that matches, until :meth:`mend`."""
        self._always[pattern] = fault

    def reset(self, pattern: str = "") -> int:
        """Break the connections of calls under way that match, and return how many there were."""
        return self.portal.call(self._reset, pattern)

    def stall(self, pattern: str) -> None:
        """Let nothing more of the calls under way that match arrive, ever: a connection that a network has forgotten."""
        self.portal.call(self._stall, pattern)

    def mend(self) -> None:
        """Harm no further calls."""
        self._plans.clear()
        self._always.clear()

    def done(self, pattern: str) -> bool:
        """Return whether all harm that was planned for a pattern has been done."""
        return not self._plans.get(pattern)

    def count(self, pattern: str, *statuses: int) -> int:
        """Return how many calls that match the real server has answered so."""
        return sum(status in statuses and bool(re.search(pattern, call)) for call, status in self.answered)

    async def _start(self) -> None:
        self._session = aiohttp.ClientSession(
            connector=self.upstream.connector(), auto_decompress=False, timeout=aiohttp.ClientTimeout()
        )
        app = web.Application(client_max_size=2**30)
        app.router.add_route("*", "/{path:.*}", self._pass_on)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2, handler_cancellation=True)
        await self._runner.setup()
        await self._site(self._runner).start()
        if self.socket is None:
            self.port = self._runner.addresses[0][1]

    def _site(self, runner: web.AppRunner) -> web.BaseSite:
        if self.socket is None:
            return web.TCPSite(runner, "127.0.0.1", self.port)
        return web.UnixSite(runner, str(self.socket))

    async def _stop(self) -> None:
        if self._runner is not None and self._session is not None:
            await self._reset("")
            await self._runner.cleanup()
            await self._session.close()

    async def _reset(self, pattern: str) -> int:
        found = [transport for transport, call in self._open.items() if re.search(pattern, call)]
        for transport in found:
            transport.abort()
        return len(found)

    async def _stall(self, pattern: str) -> None:
        self._stalled.update(transport for transport, call in self._open.items() if re.search(pattern, call))

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        call = f"{request.method} {request.rel_url.raw_path_qs}"
        self._open[request.transport] = call
        try:
            return await self._answer(request, call)
        finally:
            self._open.pop(request.transport, None)
            self._stalled.discard(request.transport)

    async def _answer(self, request: web.Request, call: str) -> web.StreamResponse:
        body, fault = await request.read(), self._fault_for(call)
        if fault is Fault.LATE:
            await anyio.sleep(self.delay)
        if fault is Fault.SILENT:
            await anyio.sleep_forever()
        if fault is Fault.LOSE_CALL:
            return _abort(request)
        if fault in (Fault.FAIL, Fault.BUSY, Fault.DENY):
            return _refuse(fault)
        try:
            return await self._ask(request, call, body, fault)
        except aiohttp.ClientError:
            return _abort(request)

    def _fault_for(self, call: str) -> Fault | None:
        for pattern, plan in self._plans.items():
            if plan and re.search(pattern, call):
                return plan.pop(0)
        return next((fault for pattern, fault in self._always.items() if re.search(pattern, call)), None)

    async def _ask(self, request: web.Request, call: str, body: bytes, fault: Fault | None) -> web.StreamResponse:
        assert self._session is not None
        url = URL(self.upstream.url + request.rel_url.raw_path_qs, encoded=True)
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP_BY_HOP}
        async with self._session.request(
            request.method,
            url,
            data=body or None,
            headers=headers,
            allow_redirects=False,
            skip_auto_headers=("Accept",),
        ) as answer:
            self.answered.append((call, answer.status))
            if fault in (Fault.LOSE_REPLY, Fault.FAIL_AFTER):
                await answer.read()
                return _abort(request) if fault is Fault.LOSE_REPLY else _refuse(fault)
            return await self._copy(request, answer, self.cut_after if fault is Fault.CUT else None)

    async def _copy(
        self, request: web.Request, answer: aiohttp.ClientResponse, cut_after: int | None
    ) -> web.StreamResponse:
        headers = {name: value for name, value in answer.headers.items() if name.lower() not in _HOP_BY_HOP}
        response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=headers)
        await response.prepare(request)
        async for data in self._pieces(request, answer):
            await response.write(data if cut_after is None else data[:cut_after])
            if cut_after is not None:
                break
        if cut_after is not None:
            return _abort(request)
        await response.write_eof()
        return response

    async def _pieces(self, request: web.Request, answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
        async for data in answer.content.iter_any():
            if request.transport in self._stalled:
                await anyio.sleep_forever()
            yield data
        if request.transport in self._stalled:
            await anyio.sleep_forever()


def _refuse(fault: Fault) -> web.Response:
    return web.json_response({"message": f"{fault.value} (a fault of the test)"}, status=_ANSWERS[fault])


def _abort(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)
