"""One directory of a process: filled before its job, stored after it, and emptied when no job uses it any more.

What comes in, and what goes out, is the union of the directory and its label; a snapshot only comes in. Every step may be taken
again: a file that is there already is not fetched, and one that has a record is not stored again. So a crash between two records
of the journal costs nothing but a second look.
"""

from collections.abc import Collection, Hashable
from functools import partial

import attrs

from container_executor.cfs import CfsError, Plan, Policy, Progress, Side, Syncer, Tree
from container_executor.cfs.snapshots import snapshot_files
from container_executor.errors import ServerError
from container_executor.execute.staging.clear import empty, empty_of_others
from container_executor.execute.staging.entries import Entry
from container_executor.execute.staging.errors import StagingError
from container_executor.execute.staging.kept import Kept
from container_executor.execute.staging.shared import Staging
from container_executor.execute.staging.words import Tell, left_out, shortened, starting, telling
from container_executor.logs import Logger
from container_executor.models import FailureClass

log = Logger(__name__)


@attrs.frozen
class Directory:
    """A directory that its process has taken.

    Attributes:
        staging: What all processes share.
        key: Tells the process from others.
        entry: What the spec says.
        seen: Where the job sees it.
        tell: Writes into the process's log.
    """

    staging: Staging
    key: Hashable
    entry: Entry
    seen: str
    tell: Tell

    @property
    def tree(self) -> Tree:
        """The directory on the disk."""
        return self.staging.tree(self.entry.parts)

    @property
    def _shared(self) -> bool:
        return self.staging.places.shared(self.key, self.entry.parts)

    async def bring_in(self, entries: Collection[Entry]) -> None:
        """Fill it.

        Args:
            entries: All directories of the process.

        Raises:
            StagingError: Not everything is there.
        """
        async with self.staging.places.lock(self.entry.parts):
            try:
                await empty_of_others(self.staging, self.entry, entries)
                self._note()
                plan = await (self._from_snapshot() if self.entry.snapshot else self._from_label())
                self._refuse(plan)
            except (CfsError, ServerError) as error:
                raise StagingError.of(error, FailureClass.STAGING_IN) from error

    def _note(self) -> None:
        parts = self.entry.parts
        kept = self._shared and any(near.keep for near in self.staging.register.near(parts) if near.parts == parts)
        self.staging.register.note(Kept(parts, self.entry.label, keep=self.entry.keeps or kept))

    async def _from_label(self) -> Plan:
        # What differs, or is here only, may be what another job is writing: that is its own to bring out.
        sides = Side.DOWNLOAD if self._shared else Side.ALL
        plan = await self._plan(_policy(keeplocal=self.entry.keeplocal_on_start), sides)
        self._announce(plan, "in")
        await self._move(plan, "in")
        return plan

    async def _from_snapshot(self) -> Plan:
        snapshot = await self.staging.client.snapshot(self.entry.snapshot)
        self.tell(
            f"snapshot {self.entry.path}",
            f"Downloading snapshot: Label:{snapshot.label} SnapshotID:{self.entry.snapshot} Dir:{self.seen}",
        )
        sides = Side.DOWNLOAD if self._shared else Side.DOWNLOAD | Side.CONFLICTS

        def work(syncer: Syncer) -> Plan:
            remote = snapshot_files(syncer.client, snapshot, syncer.stop)
            self.tree.make()
            return syncer.compare(self.tree, remote, Policy.KEEP_REMOTE, without=self.entry.without, sides=sides)

        plan = await self.staging.run(work)
        await self._move(plan, "snapshot")
        return plan

    def _refuse(self, plan: Plan) -> None:
        if plan.refused:
            names = shortened([str(refused) for refused in plan.refused])
            raise CfsError(f"not everything can be had in {self.seen}: {names}; remove such records with `cfs rm`")

    async def bring_out(self) -> None:
        """Store what the job has left in it; a snapshot's is not stored.

        Raises:
            CfsError: Some of it is not stored.
            ServerError: The server does not answer.
        """
        if self.entry.snapshot:
            return
        async with self.staging.places.lock(self.entry.parts):
            policy = _policy(keeplocal=self.entry.keeplocal_on_close)
            # Replacing a file here could undo what another job has written into it.
            kept = self._shared and policy is Policy.KEEP_REMOTE
            sides = Side.UPLOAD | Side.DOWNLOAD if kept else Side.ALL
            plan = await self._plan(policy, sides)
            self._announce(plan, "out")
            await self._move(plan, "out")
            if lost := [f"{odd.path!r}: {odd.reason}" for odd in plan.oddities if odd.content]:
                raise CfsError(f"cannot be stored: {shortened(lost)}")

    async def clear(self, *, final: bool) -> None:
        """Empty it where nobody uses it or wants it kept any more; what is stored nowhere else stays, and is named.

        Args:
            final: The process has ended for good, so that its snapshot is not needed again either.
        """
        try:
            if not self.entry.keeps and not self._shared and self.staging.register.temporary(self.entry.parts):
                await self._empty()
            if final and self.entry.snapshot and not self.entry.keepsnapshot:
                await self.staging.client.remove_snapshot(self.entry.snapshot)
        except (CfsError, ServerError) as error:
            log.warning("a directory is not emptied", directory=self.entry.path, error=str(error))

    async def _empty(self) -> None:
        kind = "snapshot" if self.entry.snapshot else "syncdir"
        self.tell(f"deleting {self.entry.path}", f"Deleting {kind} mount: {self.seen}")
        if stay := await empty(self.staging, self.entry):
            path = self.tree.path
            log.warning("files that are stored nowhere else stay", directory=str(path), count=len(stay))
            text = f"kept in {path}, because it is stored nowhere else: {shortened(stay)}"
            self.tell(f"kept {self.entry.path}", text)

    async def _plan(self, policy: Policy, sides: Side) -> Plan:
        def work(syncer: Syncer) -> Plan:
            self.tree.make()
            return syncer.plan(self.tree, self.entry.label, policy, without=self.entry.without, sides=sides)

        return await self.staging.run(work)

    def _announce(self, plan: Plan, way: str) -> None:
        self.tell(f"{way} {self.entry.path}", starting(self.entry.label, self.seen, plan))
        if notice := left_out(self.seen, plan):
            self.tell(f"{way} {self.entry.path} left out", notice)

    async def _move(self, plan: Plan, way: str) -> None:
        progress = Progress()

        def work(syncer: Syncer) -> None:
            syncer.apply(plan, self.tree, self.entry.label, progress)

        await telling(progress, self.tell, f"{way} {self.seen}", partial(self.staging.run, work))


def _policy(*, keeplocal: bool) -> Policy:
    return Policy.KEEP_LOCAL if keeplocal else Policy.KEEP_REMOTE
