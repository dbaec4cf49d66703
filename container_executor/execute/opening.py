"""Opens what one executor needs: its state directory, its backend, its server; and closes them after it."""

import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from container_executor import registry
from container_executor.backend import Backend
from container_executor.client import Client, executor_name
from container_executor.execute.daemon import Daemon
from container_executor.execute.journal import Journal
from container_executor.execute.keys import identity_of
from container_executor.settings import Settings


@asynccontextmanager
async def open_daemon(settings: Settings, *, dev: bool = False) -> AsyncIterator[Daemon]:
    """Open the state directory, the backend and the server of one executor.

    Raises:
        SettingsError: Something that is needed is not set, or cannot be used.
        JournalError: Another daemon has the state directory.
    """
    settings.require("backend", "server.colony")
    with Journal(settings.state_dir) as journal:
        owner = settings.executor.owner or ensure_owner(settings.state_dir)
        name = executor_name(settings.executor.name or f"{socket.gethostname()}-{settings.backend}")
        identity = identity_of(settings, name)
        backend = open_backend(settings, owner=owner, dev=dev)
        async with Client(
            settings.server.url, settings.server.colony, identity, timeout=settings.server.timeout
        ) as client:
            yield Daemon(settings, backend, journal, client, name, owner)


def open_backend(settings: Settings, *, owner: str, dev: bool) -> Backend:
    """Open the backend that the site chose.

    Raises:
        SettingsError: It is not installed, or its settings cannot be used.
    """
    directory = settings.state_dir / settings.backend
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    return registry.open_backend(
        settings.backend,
        owner=owner,
        directory=directory,
        dev=dev,
        settings=settings.backends.get(settings.backend, {}),
        origins=settings.backend_origins(settings.backend),
    )


def ensure_owner(state_dir: Path) -> str:
    """Return the random id that marks our objects on the engine, made once per state directory."""
    path = state_dir / "owner"
    if not path.exists():
        path.write_text(secrets.token_hex(8) + "\n")
    return path.read_text().strip()
