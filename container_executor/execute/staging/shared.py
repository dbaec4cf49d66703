"""The directories of a site that jobs see, and what all processes of a daemon share about them.

Each directory of a spec lies below one directory of the site; :mod:`container_executor.execute.staging.directory` fills and empties it.
"""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import anyio
import anyio.to_thread
import attrs

from container_executor.backend import Backend
from container_executor.cfs import Hashes, Syncer, Tree
from container_executor.cfs.each import Stop, stopping
from container_executor.client import Client
from container_executor.errors import Problem, SettingsError, UnsupportedError
from container_executor.execute.staging.errors import StagingError
from container_executor.execute.staging.kept import Register, register_of
from container_executor.execute.staging.places import Places
from container_executor.models import FailureClass
from container_executor.settings import Settings

if TYPE_CHECKING:
    from container_executor.cfs.store import Store

T = TypeVar("T")

AT_ONCE = 64
"""Directories that are brought in or out at once. Their threads wait: how many files are under way is bounded for all of them together."""


def _threads() -> anyio.CapacityLimiter:
    return anyio.CapacityLimiter(AT_ONCE)


@attrs.define(eq=False)
class Staging:
    """What the directories of all processes of one daemon share.

    Attributes:
        base: The site's directory.
        client: The server that keeps the records.
        open_store: Opens the store, once it is needed.
        hashes: Checksums that are known.
        register: What lies in which directory.
        owner: User and group id that the programs of jobs run as, where they are not ours.
        places: Who uses what.
    """

    base: Path
    client: Client
    open_store: Callable[[], "Store"]
    hashes: Hashes
    register: Register
    owner: tuple[int, int] | None = None
    places: Places = attrs.field(factory=Places)
    _syncer: Syncer | None = None
    _threads: anyio.CapacityLimiter = attrs.field(factory=_threads)

    @property
    def syncer(self) -> Syncer:
        """What synchronises.

        Raises:
            UnsupportedError: The site has no store.
        """
        if self._syncer is None:
            try:
                self._syncer = Syncer(self.client, self.open_store(), self.hashes)
                self.base.mkdir(parents=True, exist_ok=True, mode=0o711)
            except SettingsError as error:
                raise UnsupportedError(
                    Problem("fs", f"this executor has no file store; leave fs out, or ask the site: {error}")
                ) from None
            except OSError as error:
                raise StagingError(f"{self.base}: {error.strerror}", FailureClass.STAGING_IN) from None
        return self._syncer

    async def run(self, work: Callable[[Syncer], T]) -> T:
        """Return what *work* returns, which blocks a thread. A cancelled wait tells it to stop, and leaves it behind.

        Raises:
            UnsupportedError: The site has no store.
        """
        with stopping(Stop(), leave=0) as stop:
            call = partial(work, self.syncer.until(stop))
            return await anyio.to_thread.run_sync(call, abandon_on_cancel=True, limiter=self._threads)

    def use(self, settings: Settings) -> None:
        """Let the next process find the store as *settings* say, with the keys that stand there."""
        self.open_store, self._syncer = partial(_open_store, settings), None

    def tree(self, parts: tuple[str, ...]) -> Tree:
        """Return a directory of the site."""
        return Tree(self.base, parts, self.owner)

    def close(self) -> None:
        """Close the files."""
        self.hashes.close()
        self.register.close()


def open_staging(settings: Settings, client: Client, backend: Backend) -> Staging:
    """Return the staging of a site. Nothing is asked of its store before a process needs it.

    Raises:
        DiskError: The state directory cannot be written.
    """
    state = settings.state_dir
    return Staging(
        base=site_directory(settings),
        client=client,
        open_store=partial(_open_store, settings),
        hashes=Hashes(state / "hashes.sqlite"),
        register=Register(register_of(state)),
        owner=_owner(backend.run_as()),
    )


def site_directory(settings: Settings) -> Path:
    """Return the directory below which those of the jobs are."""
    return (settings.cfs.fs_dir or settings.state_dir / "cfs").absolute()


def _owner(run_as: str) -> tuple[int, int] | None:
    user, _, group = run_as.partition(":")
    return (int(user), int(group or user)) if user and os.geteuid() == 0 else None


def _open_store(settings: Settings) -> "Store":
    from container_executor.cfs.stores import open_store  # noqa: PLC0415 - help and most commands need no store

    return open_store(settings)
