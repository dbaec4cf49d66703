"""What synchronises for a command: the checksums of a folder, and the store of a site."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from container_executor.cfs import Hashes, Syncer
from container_executor.client import Client
from container_executor.settings import Settings


@contextmanager
def hashing(folder: Path) -> Iterator[Hashes]:
    """Yield the checksums that are kept in a folder."""
    with closing(Hashes(folder / "hashes.sqlite")) as hashes:
        yield hashes


def syncer_of(settings: Settings, client: Client, hashes: Hashes) -> Syncer:
    """Return what synchronises with the store that the settings name."""
    from container_executor.cfs.stores import open_store  # noqa: PLC0415 - the help needs no store

    return Syncer(client, open_store(settings), hashes)
