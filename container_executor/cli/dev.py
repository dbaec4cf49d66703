"""Development mode: a server, its keys and an executor in one program, so that a spec runs with nothing else installed.

A container spec never runs on the host unasked: without ``--backend`` the job runs on Docker, or not at all.
"""

import signal
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from pathlib import Path
from typing import NoReturn

import anyio
import attrs
from anyio.abc import TaskGroup

from container_executor.cli import daemon_log
from container_executor.cli.follow import entry_text, follow
from container_executor.cli.messages import say
from container_executor.cli.outcome import ended
from container_executor.cli.output import note
from container_executor.cli.program import leave
from container_executor.cli.service import Service
from container_executor.cli.serving import obey, run_async
from container_executor.client import Client, Identity, ensure_key
from container_executor.errors import ContainerExecutorError, SettingsError
from container_executor.execute.daemon import Daemon
from container_executor.execute.opening import open_backend, open_daemon
from container_executor.funcspec import FunctionSpec, to_wire
from container_executor.secret import Secret
from container_executor.server import Server
from container_executor.settings import COMMAND_LINE, CfsSettings, Settings, StoreKind

COLONY = "dev"
PORT = 50080
"""Where the embedded server of a daemon without specs listens: the usual port of a Colonies server."""
FOLDER, DATABASE = "dev", "colonies.sqlite"
"""The state directory of development mode, in that of the site, and the embedded server's database in it."""


def run_dev(settings: Settings, specs: Sequence[FunctionSpec]) -> NoReturn:
    """Run the embedded server and the daemon; with specs, run those, print their logs, and end with their exit code.

    Raises:
        SettingsError: There is no backend to run them on.
    """
    daemon_log.configure(settings, quiet=bool(specs))
    passing = bool(specs) and not any(spec.fs for spec in specs)  # files that were synchronised before are kept
    with _state_dir(settings, temporary=passing) as folder:
        chosen = attrs.evolve(settings, state_dir=Path(folder))
        chosen = attrs.evolve(chosen, backend=settings.backend or _docker(chosen))
        code = run_async(_run, chosen, specs)
    leave(code)


def port_of(settings: Settings) -> int:
    """Return where the embedded server of a daemon listens: what ``--port`` says, or else the usual port."""
    return settings.server.port if settings.origin("server.port") == COMMAND_LINE else PORT


def _state_dir(settings: Settings, *, temporary: bool) -> AbstractContextManager[str]:
    """Return a folder that goes away with this run where a spec is run and the site named none."""
    if temporary and settings.origin("state_dir") == "default":
        return tempfile.TemporaryDirectory(prefix="container-executor-", ignore_cleanup_errors=True)
    folder = settings.state_dir / FOLDER
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return nullcontext(str(folder))


def _docker(settings: Settings) -> str:
    """Return docker if it answers.

    Raises:
        SettingsError: It does not; the text has the line that runs the spec on this host instead.
    """
    try:
        backend = open_backend(attrs.evolve(settings, backend="docker"), owner="0" * 16, dev=True)
        health = backend.probe()
        backend.close()
        reason = "; ".join(fault.what for fault in health.faults) or "docker does not answer"
    except ContainerExecutorError as error:
        health, reason = None, str(error)
    if health is not None and health.reachable:
        return "docker"
    raise SettingsError(
        f"no container engine to run on: {reason}\n"
        "To run the program of the spec on this host, without a container and as you, say so:\n"
        "    container-executor run --dev --backend process SPEC"
    )


async def _run(settings: Settings, specs: Sequence[FunctionSpec]) -> int:
    code = 0
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with serve(settings, port=0 if specs else port_of(settings)) as (here, user):
            async with open_daemon(here, dev=True) as daemon, anyio.create_task_group() as tasks:
                if specs:
                    tasks.start_soon(_stop_at_once, daemon, signals)
                    code = await _run_specs(daemon, user, specs, tasks)
                else:
                    tasks.start_soon(obey, daemon, signals, Service())
                    await daemon.run()
                tasks.cancel_scope.cancel()
            return code


@asynccontextmanager
async def serve(settings: Settings, *, port: int) -> AsyncIterator[tuple[Settings, Identity]]:
    """Serve, and yield the settings that lead there and a user's identity."""
    folder = settings.state_dir
    server_key, owner, user = (ensure_key(folder / f"{name}.key") for name in ("server", "owner", "user"))
    async with Server(folder / DATABASE, server_id=server_key.id, port=port, durability="normal") as server:
        await server.bootstrap(COLONY, owner.id, [("user", user.id)])
        if port:
            _say_how_to_connect(server, folder / "user.key")
        yield _settings(settings, server, owner), user


def _settings(settings: Settings, server: Server, owner: Identity) -> Settings:
    key = Secret(owner.key)
    address = attrs.evolve(
        settings.server, host="127.0.0.1", port=server.port, tls=False, colony=COLONY, key=None, colony_key=key
    )
    executor = attrs.evolve(settings.executor, name=settings.executor.name or "dev", health_port=0)
    return attrs.evolve(settings, executor=executor, server=address, cfs=dev_store(settings))


def dev_store(settings: Settings) -> CfsSettings:
    """Return where contents are kept in development mode: where the site says, else in a folder of the state directory."""
    cfs = settings.cfs
    if cfs.endpoint or cfs.folder is not None:
        return cfs
    return attrs.evolve(cfs, store=StoreKind.FOLDER, folder=settings.state_dir / "objects")


def _say_how_to_connect(server: Server, key: Path) -> None:
    note(
        "to submit from another terminal:\n"
        f"    export COLONIES_SERVER_HOST=127.0.0.1 COLONIES_SERVER_PORT={server.port} COLONIES_TLS=false\n"
        f"    export COLONIES_COLONY_NAME={COLONY} COLONIES_PRVKEY=$(cat {key})"
    )


async def _run_specs(daemon: Daemon, user: Identity, specs: Sequence[FunctionSpec], tasks: TaskGroup) -> int:
    tasks.start_soon(daemon.run)
    try:
        codes = await _follow_all(daemon, user, specs)
    except Exception:  # such as a reader of our output that has gone: the server ends with us, and so do its jobs
        daemon.abort()
        await _until_idle(daemon)
        raise
    await _until_idle(daemon)
    return next((code for code in codes if code), 0)


async def _follow_all(daemon: Daemon, user: Identity, specs: Sequence[FunctionSpec]) -> list[int]:
    codes = []
    async with Client(daemon.client.url, COLONY, user) as client:
        await daemon.ready.wait()
        submitted = [await client.submit(to_wire(_for_us(spec, daemon))) for spec in specs]
        for process in submitted:
            end = ended(await follow(client, process.id, entry_text))
            if end.message:
                say(end.message)
            codes.append(end.exit_code)
    return codes


async def _until_idle(daemon: Daemon) -> None:
    while daemon.live:  # noqa: ASYNC110 - it clears away what the jobs left on the engine
        await anyio.sleep(0.005)


def _for_us(spec: FunctionSpec, daemon: Daemon) -> FunctionSpec:
    """Return the spec so that the only executor here may take it, whoever it names."""
    ours = attrs.evolve(
        spec.conditions, colony=COLONY, executor_type=daemon.settings.executor.type, executor_names=(), location=""
    )
    return attrs.evolve(spec, conditions=ours)


async def _stop_at_once(daemon: Daemon, signals: AsyncIterator[signal.Signals]) -> None:
    """Stop the jobs at the first signal, because the server ends with this program; leave them at the second."""
    stopping = False
    async for _ in signals:
        if stopping:
            note("left the jobs to their own end; the process backend's and Docker's end with their lease")
            leave(130)
        stopping = True
        note(f"stopping {daemon.live} jobs; once more leaves them")
        daemon.abort()
