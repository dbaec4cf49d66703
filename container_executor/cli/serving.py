"""Runs the daemon until signals end it, and says what goes on running afterwards."""

import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import NoReturn

import anyio

from container_executor.cli import daemon_log
from container_executor.cli.program import Session
from container_executor.execute.daemon import Daemon, Phase, open_daemon
from container_executor.settings import Settings


def run_daemon(settings: Settings, session: Session | None) -> NoReturn:
    """Run the daemon of a site until TERM or Ctrl-C ends it, then end the program; HUP has *session* asked for settings anew."""
    daemon_log.configure(settings)
    leave(run_async(_serve, settings, session))


def run_async(function: Callable[..., Awaitable[int]], *arguments: object) -> int:
    """Run an async function to its end; of errors that tasks raised together, raise the first."""
    try:
        return anyio.run(function, *arguments)
    except BaseExceptionGroup as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from None


async def _serve(settings: Settings, session: Session | None) -> int:
    with (
        anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals,
        anyio.open_signal_receiver(signal.SIGHUP) as hangups,
    ):
        async with open_daemon(settings) as daemon, anyio.create_task_group() as tasks:
            tasks.start_soon(obey, daemon, signals)
            tasks.start_soon(_reload, daemon, hangups, session)
            await daemon.run()
            tasks.cancel_scope.cancel()
            _say_what_goes_on(daemon)
    return 0


async def obey(daemon: Daemon, signals: AsyncIterator[signal.Signals]) -> None:
    """Drain at the first signal, stop the jobs at the second, leave them at the third."""
    async for _ in signals:
        if daemon.phase < Phase.DRAINING:
            daemon.drain()
            daemon_log.say(f"draining: {daemon.live} processes live; once more stops their jobs", live=daemon.live)
        elif daemon.phase < Phase.ABORTING:
            daemon.abort()
            daemon_log.say(f"stopping {daemon.live} jobs; once more leaves them to their own end", live=daemon.live)
        else:
            words = "jobs running; the engine ends each before its process is given to another executor"
            daemon_log.say(f"left {daemon.live} {words}", live=daemon.live)
            leave(130)


async def _reload(daemon: Daemon, hangups: AsyncIterator[signal.Signals], session: Session | None) -> None:
    async for _ in hangups:
        found = session.examine() if session is not None and session.examine is not None else None
        if found is None or found.problems:
            problems = list(found.problems) if found else ["it cannot be read"]
            daemon_log.say("the configuration is kept as it was: " + "; ".join(problems), problems=problems)
            continue
        daemon_log.configure(found.settings)
        daemon.reload(found.settings)


def _say_what_goes_on(daemon: Daemon) -> None:
    if daemon.live:
        deadline = daemon.handover_deadline.astimezone()
        words = f"jobs go on; start again before {deadline:%H:%M:%S}, or the server gives them to others"
        daemon_log.say(f"{daemon.live} {words}", live=daemon.live, before=deadline.isoformat(timespec="seconds"))


def leave(code: int) -> NoReturn:
    """End the program now: a call that is stuck in an engine's client must not keep it."""
    with contextlib.suppress(OSError):  # a full disk, or nobody who reads
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)
