"""HTTP: one path for calls, one for health, one for websockets."""

import asyncio
import logging
from http import HTTPStatus

import attrs
from aiohttp import web

from container_executor.server.answering import Answering
from container_executor.server.envelope import wrap_refusal
from container_executor.server.refusal import Refused
from container_executor.server.websocket import Sockets

log = logging.getLogger(__name__)


@attrs.frozen
class Limits:
    """What one client may take.

    Attributes:
        body: Bytes of one request.
        seconds: Time for a request's body to arrive.
    """

    body: int
    seconds: float


@attrs.define(eq=False)
class Site:
    """Answers every HTTP request."""

    answering: Answering
    sockets: Sockets
    limits: Limits

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        route = (request.method, request.path)
        if route == ("POST", "/api"):
            return await self._call(request)
        if route == ("GET", "/health"):
            return web.Response()
        if route == ("GET", "/pubsub"):
            return await self.sockets(request)
        return web.Response(status=HTTPStatus.NOT_FOUND, text="404 page not found")

    async def _call(self, request: web.BaseRequest) -> web.Response:
        try:
            text = await self.answering.answer(await self._body(request))
        except Refused as refusal:
            return web.Response(status=refusal.status, text=wrap_refusal(refusal))
        return web.Response(text=text)

    async def _body(self, request: web.BaseRequest) -> bytes:
        if (request.content_length or 0) > self.limits.body:
            raise self._too_large()
        # Most calls are small: their body has come with the head, and needs no clock.
        body = request.content.read_nowait() if request.content.is_eof() else await self._arriving(request)
        if len(body) > self.limits.body:
            raise self._too_large()
        return body

    async def _arriving(self, request: web.BaseRequest) -> bytes:
        body = bytearray()
        try:
            async with asyncio.timeout(self.limits.seconds):
                async for chunk in request.content.iter_any():
                    body += chunk
                    if len(body) > self.limits.body:
                        raise self._too_large()
        except TimeoutError:
            raise Refused(408, f"the request did not arrive within {self.limits.seconds:g} s") from None
        except web.RequestPayloadError as error:
            raise Refused(400, f"the request cannot be read: {error}") from None
        return bytes(body)

    def _too_large(self) -> Refused:
        return Refused(413, f"the request is larger than {self.limits.body} bytes, the limit of this server")
