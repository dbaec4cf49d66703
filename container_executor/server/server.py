"""The server as a value: open the database, listen, do what is due, close."""

import asyncio
import contextlib
import ipaddress
import logging
import signal
import socket
import sqlite3
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Self

import attrs
from aiohttp import web

from container_executor.errors import ServerError
from container_executor.server import bootstrap
from container_executor.server.answering import Answering
from container_executor.server.call import Call, Effect
from container_executor.server.deadlines import expire, sweep
from container_executor.server.polling import Pollers
from container_executor.server.refusal import Refused
from container_executor.server.schema import Durability
from container_executor.server.store import Store
from container_executor.server.subscriptions import Subscriptions
from container_executor.server.web import Limits, Site
from container_executor.server.websocket import Sockets

log = logging.getLogger(__name__)

TICK = 1.0
"""Seconds between two looks at the deadlines."""


@attrs.define(eq=False)
class Server:
    """An embedded Colonies server; use it as ``async with Server(...) as server``.

    Attributes:
        path: A database file (with a suffix) or a folder for one; made if missing.
        server_id: Id of the key that owns the server: it makes and removes colonies.
        host: Address to listen on. Only the loopback, unless ``expose`` is set.
        port: 0 takes a free one; see :attr:`port` of the running server.
        durability: ``full`` survives a power cut, ``normal`` the end of the program.
        stale_after: An executor that has not asked for work for so long is unregistered.
        largest_body: Bytes of one request.
        body_timeout: Time for a request's body to arrive.
        expose: Listen on an address that others can reach. There is no TLS: put a proxy in front.
    """

    path: Path
    server_id: str = attrs.field(kw_only=True)
    host: str = attrs.field(default="127.0.0.1", kw_only=True)
    port: int = attrs.field(default=0, kw_only=True)
    durability: Durability = attrs.field(default="full", kw_only=True)
    stale_after: timedelta = attrs.field(default=timedelta(seconds=600), kw_only=True)
    largest_body: int = attrs.field(default=64 * 2**20, kw_only=True)
    body_timeout: timedelta = attrs.field(default=timedelta(seconds=60), kw_only=True)
    expose: bool = attrs.field(default=False, kw_only=True)
    _stack: contextlib.AsyncExitStack = attrs.field(factory=contextlib.AsyncExitStack, init=False)
    _pollers: Pollers = attrs.field(factory=Pollers, init=False)
    _subscriptions: Subscriptions = attrs.field(factory=Subscriptions, init=False)
    _store: Store = attrs.field(init=False)

    @property
    def url(self) -> str:
        """Where clients reach the server."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    async def __aenter__(self) -> Self:
        """Start.

        Raises:
            ServerError: The database or the address cannot be used.
        """
        self._check_host()
        self._store = Store(self.path, self.durability, self._publish)
        async with contextlib.AsyncExitStack() as stack:
            self._store.open()
            stack.push_async_callback(self._store.close)
            await self._listen(stack)
            await self._store.run(self._own)
            clock = asyncio.create_task(self._tick(), name="colonies-deadlines")
            stack.push_async_callback(_cancelled, clock)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        """Stop listening, finish what was accepted, close the database."""
        await self._stack.aclose()

    async def bootstrap(self, colony: str, owner_id: str, users: Sequence[tuple[str, str]] = ()) -> None:
        """Make a colony and its users, (name, id) each, without the server's key; known names get these ids.

        Raises:
            ServerError: Something is no id.
        """
        bootstrap.check_ids(owner_id, users)

        def work(db: sqlite3.Connection, _now: int) -> tuple[None, list[Effect]]:
            bootstrap.make(db, colony, owner_id, users)
            return None, []

        await self._store.run(work)

    def _check_host(self) -> None:
        name = "127.0.0.1" if self.host == "localhost" else self.host
        try:
            loopback = ipaddress.ip_address(name).is_loopback
        except ValueError:
            raise ServerError(
                f"{self.host!r} is no address to listen on; write 127.0.0.1 or another IP address"
            ) from None
        if not loopback and not self.expose:
            raise ServerError(
                f"{self.host} can be reached by others, and everything this server says is unencrypted; "
                "listen on 127.0.0.1, or allow it explicitly and put a TLS proxy in front"
            )

    def _publish(self, effect: Effect) -> None:
        if callable(effect):
            effect()
        else:
            self._pollers.publish(effect)
            self._subscriptions.publish(effect)

    def _own(self, db: sqlite3.Connection, _now: int) -> tuple[None, list[Effect]]:
        bootstrap.own(db, self.server_id, self.host, self.port)
        return None, []

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            try:
                await self._store.run(self._due)
            except Refused as refusal:
                log.warning("the deadlines were not looked at: %s", refusal.message)

    def _due(self, db: sqlite3.Connection, now: int) -> tuple[None, list[Effect]]:
        call = Call(db, now, "", {}, self._subscriptions)
        expire(call)
        stale = sweep(call, self.stale_after.total_seconds())
        if stale:
            log.info("%d executors have not asked for work for %s and are unregistered", stale, self.stale_after)
        return None, call.effects

    async def _listen(self, stack: contextlib.AsyncExitStack) -> None:
        answering = Answering(self._store, self._pollers, self._subscriptions)
        sockets = Sockets(answering, self._subscriptions)
        site = Site(answering, sockets, Limits(self.largest_body, self.body_timeout.total_seconds()))
        runner = web.ServerRunner(
            web.Server(site, handler_cancellation=True, keepalive_timeout=120, access_log=None), shutdown_timeout=0.5
        )
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        try:
            listening = _socket(self.host, self.port)
        except OSError as error:
            raise ServerError(f"cannot listen on {self.host} port {self.port}: {error.strerror}") from error
        self.port = listening.getsockname()[1]
        await web.SockSite(runner, listening).start()


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def _socket(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.create_server((host, port), family=family, backlog=512)
    listening.setblocking(False)
    return listening


async def serve(server: Server, ready: Callable[[Server], None] = lambda _server: None) -> None:
    """Run a server until SIGTERM or SIGINT; *ready* is called once it can be reached.

    Raises:
        ServerError: The database or the address cannot be used.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        async with server:
            ready(server)
            await stop.wait()
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
