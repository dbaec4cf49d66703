"""Runs the daemon until signals end it, and says what goes on running afterwards."""

import faulthandler
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import NoReturn

import anyio

from container_executor.cli import daemon_log
from container_executor.cli.program import Session, leave
from container_executor.cli.service import Service
from container_executor.errors import SettingsError
from container_executor.execute.daemon import Daemon, Phase
from container_executor.execute.opening import open_daemon
from container_executor.settings import Settings


def run_daemon(settings: Settings, session: Session | None) -> NoReturn:
    """Run the daemon of a site until TERM or Ctrl-C ends it, then end the program; HUP has *session* asked for settings anew."""
    daemon_log.configure(settings)
    faulthandler.enable()  # systemd's watchdog ends a stuck daemon with ABRT: the log then says where it stood
    leave(run_async(_serve, settings, session, Service.of(os.environ)))


def run_async(function: Callable[..., Awaitable[int]], *arguments: object) -> int:
    """Run an async function to its end; of errors that tasks raised together, raise the first."""
    try:
        return anyio.run(function, *arguments)
    except BaseExceptionGroup as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from None


async def _serve(settings: Settings, session: Session | None, service: Service) -> int:
    with (
        anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals,
        anyio.open_signal_receiver(signal.SIGHUP) as hangups,
    ):
        async with open_daemon(settings) as daemon, anyio.create_task_group() as tasks:
            tasks.start_soon(obey, daemon, signals, service)
            tasks.start_soon(_reload, daemon, hangups, session)
            tasks.start_soon(_report, daemon, service)
            await daemon.run()
            tasks.cancel_scope.cancel()
            _say_what_goes_on(daemon, service)
    return 0


async def _report(daemon: Daemon, service: Service) -> None:
    """Tell systemd that the daemon has started, even while the server is away, and from then on that it is not stuck."""
    service.tell(f"asks {daemon.client.url} to let {daemon.name} in", READY="1")
    async with anyio.create_task_group() as tasks:
        if service.watchdog:
            tasks.start_soon(_beat, service)
        await daemon.ready.wait()
        service.tell("running")


async def _beat(service: Service) -> None:
    while True:
        service.tell(WATCHDOG="1")
        await anyio.sleep(service.watchdog / 3)


async def obey(daemon: Daemon, signals: AsyncIterator[signal.Signals], service: Service) -> None:
    """Drain at the first signal, stop the jobs at the second, leave them at the third."""
    async for _ in signals:
        if daemon.phase < Phase.DRAINING:
            daemon.drain()
            _answer(service, daemon, f"draining: {daemon.live} processes live; once more stops their jobs")
        elif daemon.phase < Phase.ABORTING:
            daemon.abort()
            _answer(service, daemon, f"stopping {daemon.live} jobs; once more leaves them to their own end")
        else:
            words = "jobs running; the engine ends each before its process is given to another executor"
            _answer(service, daemon, f"left {daemon.live} {words}")
            leave(130)


def _answer(service: Service, daemon: Daemon, text: str) -> None:
    daemon_log.say(text, live=daemon.live)
    service.tell(text)


async def _reload(daemon: Daemon, hangups: AsyncIterator[signal.Signals], session: Session | None) -> None:
    async for _ in hangups:
        found = session.examine() if session is not None and session.examine is not None else None
        if found is None or found.problems:
            _keep(list(found.problems) if found else ["it cannot be read"])
            continue
        try:
            daemon.reload(found.settings)
        except SettingsError as error:
            _keep([str(error)])
        else:
            daemon_log.configure(found.settings)


def _keep(problems: list[str]) -> None:
    daemon_log.say("the configuration is kept as it was: " + "; ".join(problems), problems=problems)


def _say_what_goes_on(daemon: Daemon, service: Service) -> None:
    # STOPPING not before, or systemd would kill a daemon that waits for its jobs after TimeoutStopSec
    service.tell("ended", STOPPING="1")
    if daemon.live:
        deadline = daemon.handover_deadline.astimezone()
        words = f"jobs go on; start again before {deadline:%H:%M:%S}, or the server gives them to others"
        daemon_log.say(f"{daemon.live} {words}", live=daemon.live, before=deadline.isoformat(timespec="seconds"))
        service.tell(f"ended; {daemon.live} {words}")
