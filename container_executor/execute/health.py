"""The daemon's own small web server on loopback: how it is, and its metrics."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from container_executor.execute.metrics import Metrics
from container_executor.logs import Logger

log = Logger(__name__)

Report = Callable[[], Mapping[str, Any]]


@asynccontextmanager
async def serve_health(port: int, report: Report, metrics: Metrics) -> AsyncIterator[int]:
    """Serve ``/healthz`` and ``/metrics`` on 127.0.0.1 and yield the port, 0 where it is taken: the daemon goes on without them.

    Args:
        port: The port, 0 for a free one.
        report: Returns what ``/healthz`` shows; its ``ok`` decides between 200 and 503.
        metrics: What ``/metrics`` shows.
    """
    runner = web.AppRunner(_app(report, metrics), access_log=None)
    await runner.setup()
    try:
        yield await _listen(runner, port)
    finally:
        await runner.cleanup()


def _app(report: Report, metrics: Metrics) -> web.Application:
    async def health(_request: web.Request) -> web.Response:
        state = report()
        return web.json_response(dict(state), status=200 if state["ok"] else 503)

    async def show(_request: web.Request) -> web.Response:
        report()
        return web.Response(body=metrics.text(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    app = web.Application()
    app.add_routes([web.get("/healthz", health), web.get("/metrics", show)])
    return app


async def _listen(runner: web.AppRunner, port: int) -> int:
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
    except OSError as error:
        log.warning("no health port", port=port, error=str(error))
        return 0
    found: int = runner.addresses[0][1]
    return found
