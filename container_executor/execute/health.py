"""The daemon's own small web server on loopback: how it is, and its metrics."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from container_executor.execute.metrics import Metrics

Report = Callable[[], Mapping[str, Any]]


@asynccontextmanager
async def serve_health(port: int, report: Report, metrics: Metrics) -> AsyncIterator[int]:
    """Serve ``/healthz`` and ``/metrics`` on 127.0.0.1 and yield the port.

    Args:
        port: The port, 0 for a free one.
        report: Returns what ``/healthz`` shows; its ``ok`` decides between 200 and 503.
        metrics: What ``/metrics`` shows.

    Raises:
        OSError: The port is taken.
    """

    async def health(_request: web.Request) -> web.Response:
        state = report()
        return web.json_response(dict(state), status=200 if state["ok"] else 503)

    async def show(_request: web.Request) -> web.Response:
        report()
        return web.Response(body=metrics.text(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    app = web.Application()
    app.add_routes([web.get("/healthz", health), web.get("/metrics", show)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
