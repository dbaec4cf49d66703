"""A network that does not keep its promises: stands before a server and delays, loses, resets or refuses chosen calls."""

import base64
import enum
import json
from collections import Counter
from datetime import timedelta
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any

import aiohttp
import anyio
import attrs
from aiohttp import web
from anyio.from_thread import BlockingPortal


class Harm(enum.Enum):
    """What becomes of a call."""

    LOSE_CALL = "the connection is reset before the server sees it"
    LOSE_REPLY = "the server carries it out, and the connection is reset before the answer"
    FAIL = "the answer is 500, and the server does not see it"
    FAIL_AFTER = "the server carries it out, and the answer is 500"
    LATE = "it waits before the server sees it"


@attrs.define(eq=False)
class Proxy:
    """Passes calls on to the server on a port of this machine, except for those that it was told to harm.

    Attributes:
        target: The server's port.
        portal: The event loop that it runs in.
        port: Its own port.
        seen: How many calls of each message type arrived.
        delay: Seconds that a call with LATE waits.
        only: The process whose calls are harmed; "" for all calls.
        date_shift: Added to the time that the server tells with its answers.
    """

    target: int
    portal: BlockingPortal
    port: int = 0
    seen: Counter[str] = attrs.field(factory=Counter)
    delay: float = 5.0
    only: str = ""
    date_shift: timedelta = timedelta()
    _plans: dict[str, list[Harm]] = attrs.field(factory=dict)
    _always: dict[str, Harm] = attrs.field(factory=dict)
    _away: bool = False
    _runner: web.AppRunner | None = None
    _session: aiohttp.ClientSession | None = None
    _open: set[Any] = attrs.field(factory=set)

    def start(self) -> None:
        """Listen."""
        self.portal.call(self._start)

    def stop(self) -> None:
        """Listen no more."""
        self.portal.call(self._stop)

    def harm(self, message: str, *harms: Harm) -> None:
        """Do *harms* to the next calls of a message type, one each."""
        self._plans.setdefault(message, []).extend(harms)

    def always(self, message: str, harm: Harm) -> None:
        """Do *harm* to every call of a message type, until :meth:`mend`."""
        self._always[message] = harm

    def cut(self) -> None:
        """Break all connections, in both directions, and every new one, until :meth:`mend`."""
        self._away = True
        self.portal.call(self._reset_all)

    def reset(self) -> None:
        """Break all connections once."""
        self.portal.call(self._reset_all)

    def mend(self) -> None:
        """Harm nothing any more."""
        self._away = False
        self._plans.clear()
        self._always.clear()

    def done(self, message: str) -> bool:
        """Return whether all harm that was planned for a message type has been done."""
        return not self._plans.get(message)

    async def _start(self) -> None:
        self._session = aiohttp.ClientSession()
        app = web.Application(client_max_size=2**26)
        app.router.add_route("*", "/{path:.*}", self._pass_on)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def _stop(self) -> None:
        if self._runner is not None and self._session is not None:
            await self._reset_all()
            await self._runner.cleanup()
            await self._session.close()

    async def _reset_all(self) -> None:
        for transport in list(self._open):
            transport.abort()

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        self._open.add(request.transport)
        try:
            return await self._answer(request, await request.read())
        finally:
            self._open.discard(request.transport)

    async def _answer(self, request: web.Request, body: bytes) -> web.StreamResponse:
        message = _message(body)
        self.seen[message] += 1
        harm = Harm.LOSE_CALL if self._away else self._harm_for(message) if _is_about(body, self.only) else None
        if harm is Harm.LOSE_CALL:
            return _reset(request)
        if harm is Harm.FAIL:
            return web.Response(status=500)
        if harm is Harm.LATE:
            await anyio.sleep(self.delay)
        answer = await self._ask(request, body)
        if harm is Harm.LOSE_REPLY:
            return _reset(request)
        return web.Response(status=500) if harm is Harm.FAIL_AFTER else answer

    def _harm_for(self, message: str) -> Harm | None:
        plan = self._plans.get(message)
        return plan.pop(0) if plan else self._always.get(message)

    async def _ask(self, request: web.Request, body: bytes) -> web.StreamResponse:
        assert self._session is not None
        url = f"http://127.0.0.1:{self.target}{request.path_qs}"
        try:
            async with self._session.request(request.method, url, data=body) as answer:
                content = await answer.read()
                date = parsedate_to_datetime(answer.headers["Date"]) + self.date_shift
                headers = {"Date": format_datetime(date, usegmt=True), "Content-Type": "text/plain"}
                return web.Response(status=answer.status, body=content, headers=headers)
        except aiohttp.ClientError:
            return _reset(request)


def _message(body: bytes) -> str:
    try:
        return str(json.loads(body)["payloadtype"])
    except (ValueError, TypeError, KeyError):
        return ""


def _is_about(body: bytes, process_id: str) -> bool:
    return process_id.encode() in (base64.b64decode(json.loads(body)["payload"]) if process_id else b"")


def _reset(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)
