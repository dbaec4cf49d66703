"""One command's calls to the server: the client that the settings describe, and ids that may be shortened."""

import re
from collections.abc import Awaitable, Callable
from typing import TypeVar

import click

from container_executor.client import Client, Identity, Process, ProcessState
from container_executor.errors import ContainerExecutorError, SettingsError
from container_executor.settings import Settings

T = TypeVar("T")

ID_LENGTH = 64
SHORT = 12
"""Digits of an id that tables show."""
_FEWEST = 4
_LATEST = 100  # what one call lists at most


class UnknownIdError(ContainerExecutorError):
    """No process has an id that begins like that."""


def call(settings: Settings, work: Callable[[Client], Awaitable[T]]) -> T:
    """Return what *work* returns for a client of the configured server.

    Raises:
        SettingsError: The colony or the key is not set.
        ServerError: What the calls raise.
    """
    from container_executor.cli import interrupt  # noqa: PLC0415 - commands without an event loop do not wait for its import

    async def connected() -> T:
        async with connect(settings) as client:
            return await work(client)

    return interrupt.run(connected)


def connect(settings: Settings) -> Client:
    """Return a client of the configured server, signed by the configured key."""
    settings.require("server.colony", "server.key")
    server = settings.server
    return Client(server.url, server.colony, identity(settings, "server.key"), timeout=server.timeout).threaded()


def identity(settings: Settings, path: str) -> Identity:
    """Return the identity of the key in the setting at *path*."""
    settings.require(path)
    try:
        return Identity(settings.value(path).reveal())
    except ValueError as error:
        raise SettingsError(f"{settings.origin(path)}: {path}: {error}") from None


async def full_id(client: Client, text: str) -> str:
    """Return the process id that *text* is, or is the beginning of.

    The beginning is looked for among the latest hundred processes of each state, which is what a server lists at once.

    Raises:
        click.UsageError: It is no id, or the beginning of several.
        UnknownIdError: No process begins with it.
    """
    wanted = text.lower()
    if not re.fullmatch(r"[0-9a-f]{4,64}", wanted):
        raise click.UsageError(f"{text!r} is no process id: 64 hex digits, or the first few ({_FEWEST} at least)")
    if len(wanted) == ID_LENGTH:
        return wanted
    found = [process.id for process in await _latest(client) if process.id.startswith(wanted)]
    if len(found) > 1:
        raise click.UsageError(
            f"{text} begins several ids: {', '.join(sorted(id_[:20] for id_ in found))}; write more of it"
        )
    if not found:
        raise UnknownIdError(
            f"no process among the latest {_LATEST} of each state begins with {text}; write the whole id"
        )
    return found[0]


async def _latest(client: Client) -> list[Process]:
    found: dict[str, Process] = {}
    for state in ProcessState:
        found.update({process.id: process for process in await client.processes(state, count=_LATEST)})
    return list(found.values())
