"""What every command about the file system needs: the server, the store and the checksums of a site or of development mode."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import click
import platformdirs

from container_executor.cfs import Syncer
from container_executor.cfs.each import Stop, stopping
from container_executor.cli.cfs_syncer import hashing, syncer_of
from container_executor.cli.connection import connect
from container_executor.cli.site import with_settings
from container_executor.client import Client
from container_executor.settings import Settings

T = TypeVar("T")


def with_files(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give *command* the options of a site and ``--dev``; its arguments ``settings`` and ``dev`` go to :func:`on_site`."""
    option = click.option("--dev", is_flag=True, help="The server and the store of development mode, on this machine.")
    return option(with_settings(command))


def on_site(settings: Settings, work: Callable[[Syncer], T], *, dev: bool) -> T:
    """Return what *work* returns for the server and store of the site, or of development mode.

    Raises:
        SettingsError: Something that is needed is not set.
        CfsError: What synchronising raises.
        ServerError: What the calls raise.
    """
    if dev:
        from container_executor.cli.cfs_dev import in_development  # noqa: PLC0415 - it brings the server along

        return in_development(settings, work)
    with _site(settings) as syncer:
        return work(syncer)


@contextmanager
def _site(settings: Settings) -> Iterator[Syncer]:
    client = connect(settings)
    try:
        with hashing(platformdirs.user_cache_path("container-executor")) as hashes, stopping(Stop()) as stop:
            yield syncer_of(settings, client, hashes).until(stop)
    finally:
        client.from_thread(Client.close)
