"""The directories of one process: taken and given back together, brought in before its job and out after it."""

from collections.abc import Hashable, Iterator
from contextlib import contextmanager

import anyio
import attrs

from container_executor.cfs import CfsError
from container_executor.errors import ServerError
from container_executor.execute.staging.directory import Directory
from container_executor.execute.staging.entries import entries_of, mounts_of
from container_executor.execute.staging.errors import StagingError
from container_executor.execute.staging.places import Use
from container_executor.execute.staging.shared import Staging
from container_executor.execute.staging.words import Tell, shortened
from container_executor.funcspec.model import Filesystem
from container_executor.models import FailureClass, Mount


@attrs.define(eq=False)
class Directories:
    """The directories of one process; none where its spec has no ``fs``.

    Attributes:
        staging: What all processes share.
        key: Tells the process from others.
        fs: What the spec says; ``{processid}`` has been replaced.
        tell: Writes into the process's log.
        stay: They are what the process is for, and are not emptied after it.
    """

    staging: Staging
    key: Hashable
    fs: Filesystem | None
    tell: Tell
    stay: bool = False
    _all: tuple[Directory, ...] = attrs.field(init=False)
    _taken: bool = False
    _left: bool = False

    def __attrs_post_init__(self) -> None:
        """Bring what the spec says into its one form.

        Raises:
            SpecError: A directory leads out of the site's, or has no label that a server could keep.
        """
        mount = self.fs.mount.rstrip("/") if self.fs else ""
        self._all = tuple(
            Directory(self.staging, self.key, entry, f"{mount}{entry.path}", self.tell)
            for entry in (entries_of(self.fs) if self.fs else ())
        )

    def __bool__(self) -> bool:
        return bool(self._all)

    def check(self) -> None:
        """Do nothing if this site can have them.

        Raises:
            UnsupportedError: It has no file store.
        """
        if self._all:
            _ = self.staging.syncer

    def mounts(self) -> tuple[Mount, ...]:
        """Return where the job sees them. One that lies in another is seen through it."""
        return mounts_of(self.staging.base, self.fs.mount if self.fs else "", [each.entry for each in self._all])

    async def take(self) -> None:
        """Take them all, waiting as long as other processes are in the way."""
        while (path := self.staging.places.try_take(self.key, self._uses())) and not self._taken:
            self.tell(f"waits for {path}", f"queued: waits for the directory {path}, which another process uses")
            await self.staging.places.changed.wait(2.0)
        self._taken = True

    def adopt(self) -> None:
        """Count them as taken: the job runs, or has run, since before a restart."""
        self.staging.places.adopt(self.key, self._uses())
        self._taken = True

    def give_back(self) -> None:
        """Let others have them."""
        if self._taken:
            self.staging.places.give_back(self.key)
            self._taken = False

    def _uses(self) -> list[Use]:
        return [Use(each.entry.parts, each.entry.content) for each in self._all]

    async def bring_in(self) -> None:
        """Fill them, those that lie in others after them.

        Raises:
            StagingError: Not everything is there.
        """
        entries = [each.entry for each in self._all]
        for each in self._all:
            await each.bring_in(entries)

    async def bring_out(self, seconds: float) -> None:
        """Store what the job has left, within so many seconds.

        Raises:
            StagingError: Some of it is not stored; the text says where it is.
        """
        failures: list[Exception] = []
        with anyio.move_on_after(max(0.0, seconds)) as scope:
            for each in self._all:
                with _collecting(failures):
                    await each.bring_out()
        if scope.cancelled_caught:
            failures.append(CfsError("the lease ended before all was stored"))
        if failures:
            places = shortened([str(each.tree.path) for each in self._all if not each.entry.snapshot])
            text = "; ".join(str(error) for error in failures)
            raise StagingError(f"results were not stored: {text}; they are kept in {places}", FailureClass.STAGING_OUT)

    async def leave(self, *, final: bool) -> None:
        """Empty what nobody uses or wants kept any more, then let others have them; the second time, do nothing.

        Args:
            final: The process has ended for good, so that its snapshots are not needed again either.
        """
        if self._left or not self._all:
            return
        if not self.stay:
            for each in reversed(self._all):
                await each.clear(final=final)
        self.give_back()
        self._left = True


@contextmanager
def _collecting(failures: list[Exception]) -> Iterator[None]:
    """Note what goes wrong in the block instead of raising it."""
    try:
        yield
    except (CfsError, ServerError) as error:
        failures.append(error)
