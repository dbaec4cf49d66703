"""The directories of one process: taken, brought in before the job, out after it, and emptied when no job uses them any more.

What comes in, and what goes out, is the union of a directory and its label; a snapshot only comes in. Every step may be taken
again: a file that is there already is not fetched, and one that has a record is not stored again. So a crash between two records
of the journal costs nothing but a second look.
"""

from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from functools import partial

import anyio
import attrs

from container_executor.cfs import CfsError, Plan, Policy, Progress, Side
from container_executor.cfs.remote import Remote, list_remote
from container_executor.cfs.snapshots import snapshot_files
from container_executor.errors import ServerError
from container_executor.execute.staging import Staging, StagingError
from container_executor.execute.staging_clear import empty, empty_of_others
from container_executor.execute.staging_entries import Entry, entries_of, mounts_of
from container_executor.execute.staging_kept import Kept
from container_executor.execute.staging_places import Use
from container_executor.execute.staging_words import Tell, left_out, shortened, starting, telling
from container_executor.funcspec.model import Filesystem
from container_executor.logs import Logger
from container_executor.models import FailureClass, Mount

log = Logger(__name__)


@attrs.define(eq=False)
class Directories:
    """The directories of one process; none where its spec has no ``fs``.

    Attributes:
        staging: What all processes share.
        key: Tells the process from others.
        fs: What the spec says; ``{processid}`` has been replaced.
        tell: Writes into the process's log.
    """

    staging: Staging
    key: Hashable
    fs: Filesystem | None
    tell: Tell
    _entries: tuple[Entry, ...] = attrs.field(
        init=False, default=attrs.Factory(lambda self: entries_of(self.fs) if self.fs else (), takes_self=True)
    )
    _taken: bool = False

    def __bool__(self) -> bool:
        return bool(self._entries)

    def check(self) -> None:
        """Do nothing if this site can have them.

        Raises:
            UnsupportedError: It has no file store.
        """
        if self._entries:
            _ = self.staging.syncer

    def mounts(self) -> tuple[Mount, ...]:
        """Return where the job sees them. One that lies in another is seen through it."""
        return mounts_of(self.staging.base, self.fs.mount if self.fs else "", self._entries)

    # --- taking -------------------------------------------------------------------------------------------------------

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
        return [Use(entry.parts, entry.content) for entry in self._entries]

    # --- in -----------------------------------------------------------------------------------------------------------

    async def bring_in(self) -> None:
        """Fill the directories.

        Raises:
            StagingError: Not everything is there.
        """
        for entry in self._entries:
            async with self.staging.places.lock(entry.parts):
                try:
                    await empty_of_others(self.staging, entry, self._entries)
                    self._note(entry)
                    await (self._snapshot_in(entry) if entry.snapshot else self._sync_in(entry))
                except (CfsError, ServerError) as error:
                    raise StagingError.of(error, FailureClass.STAGING_IN) from error

    def _note(self, entry: Entry) -> None:
        shared = self.staging.places.shared(self.key, entry.parts)
        kept = shared and any(
            near.keep for near in self.staging.register.near(entry.parts) if near.parts == entry.parts
        )
        self.staging.register.note(Kept(entry.parts, entry.label, keep=entry.keeps or kept))

    async def _sync_in(self, entry: Entry) -> None:
        # What differs, or is here only, may be what another job is writing: that is its own to bring out.
        shared = self.staging.places.shared(self.key, entry.parts)
        sides = Side.DOWNLOAD if shared else Side.ALL
        policy = _policy(keeplocal=entry.keeplocal_on_start)
        remote = await self._listed(entry)
        await self._apply(entry, remote, policy, sides, "in")

    async def _listed(self, entry: Entry) -> Remote:
        return await self.staging.syncer.again(lambda: list_remote(self.staging.client, entry.label, entry.without))

    async def _snapshot_in(self, entry: Entry) -> None:
        snapshot = await self.staging.client.snapshot(entry.snapshot)
        self.tell(
            f"snapshot {entry.path}",
            f"Downloading snapshot: Label:{snapshot.label} SnapshotID:{entry.snapshot} Dir:{self._where(entry)}",
        )
        remote = await snapshot_files(self.staging.client, snapshot)
        shared = self.staging.places.shared(self.key, entry.parts)
        sides = Side.DOWNLOAD if shared else Side.DOWNLOAD | Side.CONFLICTS
        await self._apply(entry, remote, Policy.KEEP_REMOTE, sides, "snapshot")

    async def _apply(self, entry: Entry, remote: Remote, policy: Policy, sides: Side, way: str) -> Plan:
        tree, where = self.staging.tree(entry.parts), self._where(entry)
        await self.staging.syncer.in_thread(tree.make)
        plan = await self.staging.syncer.compare(tree, remote, policy, without=entry.without, sides=sides)
        if way != "snapshot":
            self.tell(f"{way} {entry.path}", starting(entry.label, where, plan))
        if way != "snapshot" and (notice := left_out(where, plan)):
            self.tell(f"{way} {entry.path} left out", notice)
        await self._move(entry, plan, f"{way} {where}")
        if plan.refused and way != "out":
            names = shortened([str(refused) for refused in plan.refused])
            raise CfsError(f"not everything can be had in {where}: {names}; remove such records with `cfs rm`")
        return plan

    async def _move(self, entry: Entry, plan: Plan, name: str) -> None:
        progress, tree = Progress(), self.staging.tree(entry.parts)
        apply = partial(self.staging.syncer.apply, plan, tree, entry.label, progress)
        await telling(progress, self.tell, name, apply)

    # --- out ----------------------------------------------------------------------------------------------------------

    async def bring_out(self, seconds: float) -> None:
        """Store what the job has left, within so many seconds.

        Raises:
            StagingError: Some of it is not stored; the text says where it is.
        """
        failures: list[Exception] = []
        with anyio.move_on_after(max(0.0, seconds)) as scope:
            for entry in self._entries:
                if not entry.snapshot:
                    with _collecting(failures):
                        await self._sync_out(entry)
        if scope.cancelled_caught:
            failures.append(CfsError("the lease ended before all was stored"))
        if failures:
            places = shortened(
                [str(self.staging.tree(entry.parts).path) for entry in self._entries if not entry.snapshot]
            )
            text = "; ".join(str(error) for error in failures)
            raise StagingError(f"results were not stored: {text}; they are kept in {places}", FailureClass.STAGING_OUT)

    async def _sync_out(self, entry: Entry) -> None:
        async with self.staging.places.lock(entry.parts):
            shared = self.staging.places.shared(self.key, entry.parts)
            policy = _policy(keeplocal=entry.keeplocal_on_close)
            # Replacing a file here could undo what another job has written into it.
            sides = Side.UPLOAD | Side.DOWNLOAD if shared and policy is Policy.KEEP_REMOTE else Side.ALL
            remote = await self._listed(entry)
            plan = await self._apply(entry, remote, policy, sides, "out")
            if lost := [f"{odd.path!r}: {odd.reason}" for odd in plan.oddities if odd.content]:
                raise CfsError(f"cannot be stored: {shortened(lost)}")

    # --- afterwards ---------------------------------------------------------------------------------------------------

    async def clear(self, *, final: bool) -> None:
        """Empty what nobody uses or wants kept any more; what is stored nowhere else stays, and is named.

        Args:
            final: The process has ended for good, so that its snapshots are not needed again either.
        """
        for entry in reversed(self._entries):
            try:
                if not entry.keeps and not self.staging.places.shared(self.key, entry.parts):
                    await self._clear_entry(entry)
                if final and entry.snapshot and not entry.keepsnapshot:
                    await self.staging.client.remove_snapshot(entry.snapshot)
            except (CfsError, ServerError) as error:
                log.warning("a directory is not emptied", directory=entry.path, error=str(error))

    async def _clear_entry(self, entry: Entry) -> None:
        if not self.staging.register.temporary(entry.parts):
            return
        kind = "snapshot" if entry.snapshot else "syncdir"
        self.tell(f"deleting {entry.path}", f"Deleting {kind} mount: {self._where(entry)}")
        if stay := await empty(self.staging, entry):
            path = self.staging.tree(entry.parts).path
            log.warning("files that are stored nowhere else stay", directory=str(path), count=len(stay))
            self.tell(f"kept {entry.path}", f"kept in {path}, because it is stored nowhere else: {shortened(stay)}")

    def _where(self, entry: Entry) -> str:
        return f"{self.fs.mount.rstrip('/') if self.fs else ''}{entry.path}"


def _policy(*, keeplocal: bool) -> Policy:
    return Policy.KEEP_LOCAL if keeplocal else Policy.KEEP_REMOTE


@contextmanager
def _collecting(failures: list[Exception]) -> Iterator[None]:
    """Note what goes wrong in the block instead of raising it."""
    try:
        yield
    except (CfsError, ServerError) as error:
        failures.append(error)
