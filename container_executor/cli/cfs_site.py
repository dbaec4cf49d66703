"""What every command about the file system needs: the server, the store and the checksums of a site or of development mode."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import attrs
import click
import platformdirs

from container_executor.cfs import Hashes, Syncer
from container_executor.cli import interrupt
from container_executor.cli.connection import connect
from container_executor.cli.site import with_settings
from container_executor.client import Client
from container_executor.settings import Settings

T = TypeVar("T")


def with_files(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give *command* the options of a site and ``--dev``; its arguments ``settings`` and ``dev`` go to :func:`on_site`."""
    option = click.option("--dev", is_flag=True, help="The server and the store of development mode, on this machine.")
    return option(with_settings(command))


def on_site(settings: Settings, work: Callable[[Syncer], Awaitable[T]], *, dev: bool) -> T:
    """Return what *work* returns for the server and store of the site, or of development mode.

    Raises:
        SettingsError: Something that is needed is not set.
        CfsError: What synchronising raises.
        ServerError: What the calls raise.
    """
    found: list[T] = []

    async def run() -> int:
        async with _development(settings) if dev else _site(settings) as syncer:
            found.append(await work(syncer))
        return 0

    if dev:
        from container_executor.cli.serving import run_async  # noqa: PLC0415 - it brings the daemon along

        run_async(run)
    else:
        interrupt.run(run)
    return found[0]


@asynccontextmanager
async def _site(settings: Settings) -> AsyncIterator[Syncer]:
    async with connect(settings) as client:
        with _hashing(platformdirs.user_cache_path("container-executor")) as hashes:
            yield _syncer(settings, client, hashes)


@asynccontextmanager
async def _development(settings: Settings) -> AsyncIterator[Syncer]:
    """Use the server of a daemon in development mode that runs; where none does, serve its files ourselves."""
    from container_executor.cli.dev import COLONY, PORT, dev_store, serve  # noqa: PLC0415 - it brings the server along
    from container_executor.client import ensure_key  # noqa: PLC0415
    from container_executor.execute.journal import Journal, JournalError  # noqa: PLC0415

    folder = settings.state_dir / "dev"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    here = attrs.evolve(settings, state_dir=folder)
    async with AsyncExitStack() as stack:
        try:
            stack.enter_context(Journal(folder))
        except JournalError:
            url, user = f"http://127.0.0.1:{PORT}", ensure_key(folder / "user.key")
        else:
            served, user = await stack.enter_async_context(serve(here, port=0))
            url = served.server.url
        client = await stack.enter_async_context(Client(url, COLONY, user).threaded())
        address = attrs.evolve(here.server, colony=COLONY)
        here = attrs.evolve(here, cfs=dev_store(here), server=address)
        yield _syncer(here, client, stack.enter_context(_hashing(folder)))


@contextmanager
def _hashing(folder: Path) -> Iterator[Hashes]:
    with closing(Hashes(folder / "hashes.sqlite")) as hashes:
        yield hashes


def _syncer(settings: Settings, client: Client, hashes: Hashes) -> Syncer:
    from container_executor.cfs.store import open_store  # noqa: PLC0415 - the help needs no store

    return Syncer(client, open_store(settings), hashes)
