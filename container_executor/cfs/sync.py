"""Synchronises a directory with a label: looks at both sides, plans, moves what differs, records what was stored.

What is done is not done again: a run that was cut short goes on where it was when it is started anew, because every file that
came down is there whole, and every one that went up has its record. Of a large file that was cut off on its way down, what had come
is kept.
"""

import math
import os
import threading
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, TypeVar

import anyio
import anyio.to_thread
import attrs

from container_executor.cfs.batch import Batch, Progress, Tally, batches, raising
from container_executor.cfs.budget import Budget
from container_executor.cfs.download import fetch, reached, unfinished_path
from container_executor.cfs.each import AT_ONCE, both, each
from container_executor.cfs.errors import (
    ChangingError,
    PathError,
    StoreUnavailableError,
    SyncError,
)
from container_executor.cfs.hashes import Hashes, checksum_of
from container_executor.cfs.mover import Counter, Mover
from container_executor.cfs.plan import Plan, Policy, Side, make_plan, to_hash
from container_executor.cfs.records import add_record
from container_executor.cfs.remote import Remote, RemoteFile, label_of, list_remote
from container_executor.cfs.scan import Listing, LocalFile, Stamp, scan
from container_executor.cfs.tree import Tree
from container_executor.cfs.upload import Sent, send
from container_executor.client import Client, FileRecord, NoAnswerError, NotFoundError
from container_executor.logs import Logger

if TYPE_CHECKING:
    from container_executor.cfs.store import Store  # obstore is imported where something is stored

log = Logger(__name__)

T = TypeVar("T")

PATIENCE = 30.0
"""Seconds, from the first time, for which a store or a server that does not answer is asked again."""
PREFIX = 16
"""Hex digits that tell the contents of one colony from those of others in the same store."""
_PAUSE, _PAUSE_LIMIT = 0.5, 5.0


def _workers() -> anyio.CapacityLimiter:
    return anyio.CapacityLimiter(AT_ONCE)


@attrs.frozen(eq=False)
class Syncer:
    """Synchronises directories. One serves many, at the same time too: it bounds what all of them do at once.

    Attributes:
        client: The server that keeps the records.
        store: Where the contents are kept.
        hashes: Checksums that are known.
        patience: Seconds for which a store or server that does not answer is asked again.
        files_at_once: Files that are on their way at once.
        threads: Bounds the threads.
        budget: Bounds the memory.
    """

    client: Client
    store: "Store"
    hashes: Hashes
    patience: float = PATIENCE
    files_at_once: int = AT_ONCE
    threads: anyio.CapacityLimiter = attrs.field(factory=_workers)
    budget: Budget = attrs.field(factory=Budget)

    async def prefix(self) -> str:
        """Return what the keys of this colony's contents begin with: others do, of whatever name and on whatever server."""
        owner = await self.again(self.client.owner_id)
        return sha256(f"{self.client.colony}/{owner}".encode()).hexdigest()[:PREFIX]

    # --- looking ------------------------------------------------------------------------------------------------------

    async def plan(
        self, tree: Tree, label: str, policy: Policy, *, without: Collection[str] = (), sides: Side = Side.ALL
    ) -> Plan:
        """Look at both sides and return what a synchronisation would do. Nothing is changed.

        Args:
            tree: The directory; one that is not there is empty.
            label: The label, in its one form.
            policy: Which way files go that differ.
            without: Paths below both that are left out.
            sides: What may be done at all.
        """
        remote, local = await both(
            lambda: self.again(lambda: list_remote(self.client, label, without)),
            lambda: self.in_thread(scan, tree, without),
        )
        return await self._compared(tree, local, remote, policy, sides)

    async def compare(
        self, tree: Tree, remote: Remote, policy: Policy, *, without: Collection[str] = (), sides: Side = Side.ALL
    ) -> Plan:
        """Return what it takes to bring a directory and files that are known together."""
        local = await self.in_thread(scan, tree, without)
        return await self._compared(tree, local, remote, policy, sides)

    async def _compared(self, tree: Tree, local: Listing, remote: Remote, policy: Policy, sides: Side) -> Plan:
        return make_plan(await self.hashed(tree, local, remote), remote, policy, sides)

    async def hashed(self, tree: Tree, local: Listing, remote: Remote) -> Listing:
        """Return the listing with the checksums that a comparison needs."""
        known = await self.in_thread(self._from_cache, local, remote)
        files = {**local.files, **{file.path: file for file in known}}
        wanted = [file for file in known if not file.checksum]

        async def one(file: LocalFile) -> None:
            with suppress(ChangingError, PathError):  # it differs, whatever it will be
                files[file.path] = attrs.evolve(file, checksum=await self.checksum(tree, file))

        await each(wanted, one, at_once=self.files_at_once)
        return attrs.evolve(local, files=files)

    def _from_cache(self, local: Listing, remote: Remote) -> list[LocalFile]:
        files = list(to_hash(local, remote))
        checksums = self.hashes.get_all([file.stamp for file in files])
        return [LocalFile(file.path, file.stamp, checksum) for file, checksum in zip(files, checksums, strict=True)]

    async def checksum(self, tree: Tree, file: LocalFile) -> str:
        """Return the checksum of a file.

        Raises:
            CfsError: It cannot be read, or was written to meanwhile.
        """
        stop = threading.Event()
        try:
            return await self.in_thread(checksum_of, tree, file, self.hashes, stop.is_set)
        finally:
            stop.set()

    # --- doing --------------------------------------------------------------------------------------------------------

    async def apply(self, plan: Plan, tree: Tree, label: str, progress: Progress | None = None) -> None:
        """Do what a plan says. One file that cannot be moved stops no other; a store that is down stops all.

        Raises:
            SyncError: Some files could not be moved; all others were.
            CfsError: The store, the server or the disk ended it.
        """
        tally = Tally(progress or Progress())
        tally.progress.total_files = len(plan.to_upload) + len(plan.to_download)
        tally.progress.total_bytes = plan.bytes
        going_on = {unfinished_path(file) for file in plan.to_download}
        await self.in_thread(tree.discard, [path for path in plan.unfinished if path not in going_on])
        if not plan.empty:
            prefix = await self.prefix() if plan.to_upload else ""
            with self._moving(tree, prefix, tally.progress.moved) as mover:
                jobs = [partial(self._up, mover, files, label, tally) for files in batches(plan.to_upload)]
                jobs += [partial(self._down, mover, files, tally) for files in batches(plan.to_download)]
                await each(jobs, lambda job: job(), at_once=self.files_at_once)
        if tally.failures:
            raise SyncError(tally.failures)

    @contextmanager
    def _moving(self, tree: Tree, prefix: str = "", moved: Counter = lambda _count: None) -> Iterator[Mover]:
        """Yield what moves files; afterwards threads that are still at it stop, and what was learnt is kept."""
        stop = threading.Event()
        try:
            yield Mover(self.store, tree, self.hashes, prefix, moved, self.budget, stop)
        finally:
            stop.set()
            self.hashes.save()

    async def fetch(self, tree: Tree, file: RemoteFile) -> None:
        """Put one stored file into a directory."""
        with self._moving(tree) as mover, raising() as tally:
            await self._down(mover, [file], tally)

    async def store_file(self, tree: Tree, path: str, label: str) -> bool:
        """Store one file of a directory under a label, unless it is there already; return whether it was stored."""
        with tree.reading(path) as descriptor:
            file = LocalFile(path, Stamp.of(os.fstat(descriptor)))
        with suppress(NotFoundError):
            kept = await self.again(lambda: self.client.file(*label_of(label, path)))
            if kept.size == file.size and kept.checksum == await self.checksum(tree, file):
                return False
        with self._moving(tree, await self.prefix()) as mover, raising() as tally:
            await self._up(mover, [file], label, tally)
        return True

    async def _down(self, mover: Mover, files: Sequence[RemoteFile], tally: Tally) -> None:
        batch = Batch(files, partial(reached, mover))

        def down(file: RemoteFile) -> None:
            with tally.one():
                fetch(mover, file)
                tally.progress.done()

        await self.again(lambda: self.in_thread(batch.run, down), batch.reached)

    async def _up(self, mover: Mover, files: Sequence[LocalFile], root: str, tally: Tally) -> None:
        batch, stored = Batch(files), list[FileRecord]()

        def up(file: LocalFile) -> None:
            with tally.one():
                stored.append(self._describe(*label_of(root, file.path), send(mover, file)))

        await self.again(lambda: self.in_thread(batch.run, up), batch.reached)
        records = Batch(stored)

        def record(one: FileRecord) -> None:
            with tally.one():
                mover.check()
                add_record(self.client, one)
                tally.progress.done()

        await self.again(lambda: self.in_thread(records.run, record), records.reached)

    def _describe(self, label: str, name: str, sent: Sent) -> FileRecord:
        place = self.store.place
        return FileRecord(
            label=label, name=name, size=sent.size, checksum=sent.checksum, object=sent.object,
            bucket=place.bucket, server=place.server, tls=place.tls, region=place.region,
        )  # fmt: skip

    # --- how ----------------------------------------------------------------------------------------------------------

    async def again(self, call: Callable[[], Awaitable[T]], reached: Callable[[], int] = lambda: 0) -> T:
        """Return what *call* returns, asked again for a while where nobody answers.

        Args:
            call: Makes the call.
            reached: How far it has come; as long as that grows from one call to the next, there is no end of asking.
        """
        deadline, pause, furthest = math.inf, _PAUSE, 0
        while True:
            try:
                return await call()
            except (StoreUnavailableError, NoAnswerError) as error:
                now, far = anyio.current_time(), reached()
                if deadline == math.inf or far > furthest:
                    deadline, pause, furthest = now + self.patience, _PAUSE, far
                if now + pause > deadline:
                    raise
                log.warning("asked again", error=str(error))
            await anyio.sleep(pause)
            pause = min(_PAUSE_LIMIT, pause * 2)

    async def in_thread(self, function: Callable[..., T], *arguments: object) -> T:
        """Return what a blocking function returns, called in one of our threads; a cancelled wait leaves it behind."""
        return await anyio.to_thread.run_sync(
            partial(function, *arguments), abandon_on_cancel=True, limiter=self.threads
        )
