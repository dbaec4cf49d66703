"""What is wrong with settings that each can be read: backends' tables, keys that are none, names that are none."""

import socket
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from container_executor.client.identity import executor_name
from container_executor.errors import SettingsError
from container_executor.execute.keys import key_of
from container_executor.registry import MissingPackageError, check_settings
from container_executor.settings import Settings

KEYS = ("server.key", "server.colony_key")
"""The settings that are private keys of the server's protocol."""


def problems_of(settings: Settings) -> list[str]:
    """Return a line for each thing that is wrong, with what gave it."""
    checks: list[Callable[[], object]] = [
        partial(name_of, settings),
        *(partial(key_of, settings, path) for path in KEYS),
        *(partial(_backend_values, settings, name) for name in _backends(settings)),
    ]
    return [line for check in checks for line in _raised(check)]


def _backends(settings: Settings) -> list[str]:
    return sorted({*settings.backends, *filter(None, [settings.backend])})


def _backend_values(settings: Settings, name: str) -> None:
    """Check the table of a backend; one that is not chosen may lack its package, as where several machines share a file."""
    try:
        backend_values(settings, name)
    except MissingPackageError:
        if name == settings.backend:
            raise


def _raised(check: Callable[[], object]) -> Iterator[str]:
    try:
        check()
    except SettingsError as error:
        yield from str(error).splitlines()


def name_of(settings: Settings) -> str:
    """Return the name that the daemon takes on the server.

    Raises:
        SettingsError: What is set is none.
    """
    try:
        return executor_name(settings.executor.name or f"{socket.gethostname()}-{settings.backend}")
    except SettingsError as error:
        raise SettingsError(f"{settings.origin('executor.name')}: executor.name: {error}") from None


def backend_values(settings: Settings, name: str) -> dict[str, Any]:
    """Return the settings of backend *name* that were given, as the types of its fields.

    Raises:
        SettingsError: There is no such backend, or one line for each setting that is wrong.
    """
    return check_settings(name, settings.backends.get(name, {}), settings.backend_origins(name))
