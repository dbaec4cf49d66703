"""Websockets: a client asks to hear of processes that enter a state, and is told until its time is over."""

import asyncio
import contextlib
import functools
from typing import Any

import attrs
from aiohttp import WSMsgType, web

from container_executor.server.answering import Answering, decode, unknown
from container_executor.server.call import Call, Handler
from container_executor.server.envelope import unwrap, wrap, wrap_refusal
from container_executor.server.fields import integer, struct, text
from container_executor.server.polling import LONGEST
from container_executor.server.process import render
from container_executor.server.refusal import Refused
from container_executor.server.roles import executor_state, member_of_process
from container_executor.server.subscriptions import EVENT, Subscriber, Subscriptions, Wish

LARGEST = 2**20
"""Bytes of one request to subscribe."""

HEARTBEAT = 30.0
"""Seconds between two signs of life; a client that answers none is gone."""


def _executor(call: Call) -> None:
    if executor_state(call.db, call.message["colonyname"], call.caller) is None:
        raise Refused(403, "executor not found")


def _process_unknown(call: Call) -> None:
    processid = call.message["processid"]
    member_of_process(403, f"Invalid process with Id {processid}")(call)


def _never(_call: Call) -> str:
    raise AssertionError("answered over the websocket")


_SUBSCRIBE = {"colonyname": text, "executortype": text, "state": integer, "timeout": integer}

TABLE = {
    handler.msgtype: handler
    for handler in (
        Handler(EVENT, "subscribe to process", struct(processid=text, **_SUBSCRIBE), _process_unknown, _never),
        Handler("subscribeprocessesmsg", "subscribe to processes", struct(**_SUBSCRIBE), _executor, _never),
    )
}


def wish_of(handler: Handler, message: dict[str, Any]) -> Wish:
    """Return what a decoded message asks to hear of."""
    if handler.msgtype == EVENT:
        return Wish("", "", message["processid"], message["state"])
    return Wish(message["colonyname"], message["executortype"], "", message["state"])


@attrs.define(eq=False)
class Sockets:
    """Serves websocket connections. Any number of subscriptions may share one."""

    answering: Answering
    subscriptions: Subscriptions

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """Serve one connection until either side ends it."""
        socket = web.WebSocketResponse(heartbeat=HEARTBEAT, max_msg_size=LARGEST)
        if not socket.can_prepare(request).ok:
            return web.Response(status=400, text="expected a websocket")
        await socket.prepare(request)
        subscriber = Subscriber()
        writer = asyncio.create_task(_write(socket, subscriber))
        try:
            await self._read(socket, subscriber)
        finally:
            self.subscriptions.remove(subscriber)
            writer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await writer
        return socket

    async def _read(self, socket: web.WebSocketResponse, subscriber: Subscriber) -> None:
        async for message in socket:
            body = message.data.encode() if message.type is WSMsgType.TEXT else message.data
            try:
                seconds = await self._subscribe(body, subscriber)
            except Refused as refusal:
                subscriber.offer(wrap_refusal(refusal))
            else:
                asyncio.get_running_loop().call_later(seconds, subscriber.offer, None)

    async def _subscribe(self, body: bytes, subscriber: Subscriber) -> int:
        envelope = unwrap(body)
        caller = envelope.signer()
        handler = TABLE.get(envelope.msgtype)
        if handler is None:
            raise Refused(403, unknown(envelope.msgtype))
        message = decode(envelope, handler)
        wish = wish_of(handler, message)
        self.subscriptions.announce(wish)
        try:
            await self.answering.do(handler, caller, message, functools.partial(self._begin, subscriber, wish))
        except BaseException:
            self.subscriptions.withdraw(wish)
            raise
        timeout: int = message["timeout"]
        return max(0, min(timeout, LONGEST))

    def _begin(self, subscriber: Subscriber, wish: Wish, call: Call) -> None:
        """Start telling, in the order of the calls: nothing between the state now and the next is missed or doubled."""
        call.effects.append(lambda: self.subscriptions.add(subscriber, wish))
        if call.subject is not None and call.subject.state == wish.state:
            now = wrap(EVENT, render(call.db, call.subject))
            call.effects.append(lambda: subscriber.offer(now))


async def _write(socket: web.WebSocketResponse, subscriber: Subscriber) -> None:
    while (event := await subscriber.unread.get()) is not None:
        with contextlib.suppress(ConnectionError):
            await socket.send_str(event)
    await socket.close()
