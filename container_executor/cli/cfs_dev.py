"""The file system of development mode: its server and its store on this machine."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TypeVar

import anyio.to_thread
import attrs

from container_executor.cfs import Syncer
from container_executor.cfs.each import Stop, stopping
from container_executor.cli.cfs_syncer import hashing, syncer_of
from container_executor.cli.dev import COLONY, PORT, dev_store, serve
from container_executor.cli.serving import run_async
from container_executor.client import Client, ensure_key
from container_executor.execute.journal import Journal, JournalError
from container_executor.settings import Settings

T = TypeVar("T")


def in_development(settings: Settings, work: Callable[[Syncer], T]) -> T:
    """Return what *work*, which blocks, returns for the server and store of development mode."""
    found: list[T] = []

    async def run() -> int:
        async with _opened(settings) as syncer:
            with stopping(Stop(), leave=0) as stop:
                found.append(await anyio.to_thread.run_sync(work, syncer.until(stop), abandon_on_cancel=True))
        return 0

    run_async(run)
    return found[0]


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[Syncer]:
    """Use the server of a daemon in development mode that runs; where none does, serve its files ourselves."""
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
        client = await stack.enter_async_context(Client(url, COLONY, user))
        address = attrs.evolve(here.server, colony=COLONY)
        here = attrs.evolve(here, cfs=dev_store(here), server=address)
        yield syncer_of(here, client, stack.enter_context(hashing(folder)))
