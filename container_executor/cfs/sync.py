"""Synchronises a directory with a label: looks at both sides, plans, moves what differs, records what was stored. Blocking.

What is done is not done again: a run that was cut short goes on where it was when it is started anew, because every file that
came down is there whole, and every one that went up has its record. Of a large file that was cut off on its way down, what had come
is kept.
"""

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, TypeVar

import attrs

from container_executor.cfs.ahead import Ahead
from container_executor.cfs.batch import Batch, F, Progress, Tally, batches, raising
from container_executor.cfs.budget import Budget
from container_executor.cfs.download import fetch, reached, unfinished_path
from container_executor.cfs.each import AT_ONCE, Stop, both, each, stopping
from container_executor.cfs.errors import LOST, ChangingError, ContentError, PathError, SyncError
from container_executor.cfs.hashes import Hashes, checksum_of
from container_executor.cfs.mover import Counter, Mover
from container_executor.cfs.patience import PATIENCE, again
from container_executor.cfs.plan import Plan, Policy, Side, make_plan, to_hash
from container_executor.cfs.records import add_record
from container_executor.cfs.remote import Remote, RemoteFile, label_of, list_remote
from container_executor.cfs.scan import Listing, LocalFile, Stamp, scan
from container_executor.cfs.seal import lost
from container_executor.cfs.tree import Tree
from container_executor.cfs.upload import Sent, send
from container_executor.client import Client, FileRecord, NotFoundError

if TYPE_CHECKING:
    from container_executor.cfs.store import Store  # obstore is imported where something is stored

T = TypeVar("T")

PREFIX = 16
"""Hex digits that tell the contents of one colony from those of others in the same store."""


def _places() -> Budget:
    return Budget(AT_ONCE)


@attrs.frozen(eq=False)
class Syncer:
    """Synchronises directories. One serves many, at the same time too: it bounds what all of them do at once.

    Every call blocks until all is done, in threads of its own.

    Attributes:
        client: The server that keeps the records.
        store: Where the contents are kept.
        hashes: Checksums that are known.
        patience: Seconds for which a store or server that does not answer is asked again.
        files_at_once: Files that are on their way at once.
        stop: Ends what is under way, with a :class:`StoppedError`.
        places: Bounds what is on its way at once.
        budget: Bounds the memory.
    """

    client: Client
    store: "Store"
    hashes: Hashes
    patience: float = PATIENCE
    files_at_once: int = AT_ONCE
    stop: Stop = attrs.field(factory=Stop)
    places: Budget = attrs.field(factory=_places)
    budget: Budget = attrs.field(factory=Budget)

    def until(self, stop: Stop) -> "Syncer":
        """Return one that shares all with this one, but ends when *stop* says so."""
        return attrs.evolve(self, stop=stop)

    def prefix(self) -> str:
        """Return what the keys of this colony's contents begin with: others do, of whatever name and on whatever server."""
        owner = self._again(lambda: self.client.from_thread(Client.owner_id), self.stop)
        return sha256(f"{self.client.colony}/{owner}".encode()).hexdigest()[:PREFIX]

    # --- looking ------------------------------------------------------------------------------------------------------

    def plan(
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
        with stopping(self.stop) as stop:
            remote, local = both(
                lambda: self._again(lambda: list_remote(self.client, label, without, stop), stop),
                lambda: scan(tree, without),
                stop,
            )
        return self._compared(tree, local, remote, policy, sides)

    def compare(
        self, tree: Tree, remote: Remote, policy: Policy, *, without: Collection[str] = (), sides: Side = Side.ALL
    ) -> Plan:
        """Return what it takes to bring a directory and files that are known together."""
        return self._compared(tree, scan(tree, without), remote, policy, sides)

    def _compared(self, tree: Tree, local: Listing, remote: Remote, policy: Policy, sides: Side) -> Plan:
        return make_plan(self.hashed(tree, local, remote), remote, policy, sides)

    def hashed(self, tree: Tree, local: Listing, remote: Remote) -> Listing:
        """Return the listing with the checksums that a comparison needs."""
        known = self._from_cache(local, remote)
        files = {**local.files, **{file.path: file for file in known}}
        wanted = [file for file in known if not file.checksum]

        def one(file: LocalFile) -> None:
            with suppress(ChangingError, PathError):  # it differs, whatever it will be
                files[file.path] = attrs.evolve(file, checksum=self._checksum(tree, file, stop))

        with stopping(self.stop) as stop:
            each(wanted, one, stop, at_once=self.files_at_once)
            doubtful = [file for file in files.values() if not remote.has(file.path, file.checksum)]
            gone = lost(tree, doubtful, lambda file: self._checksum(tree, file, stop))
            files |= {file.path: attrs.evolve(file, lost=True) for file in gone}
        return attrs.evolve(local, files=files)

    def _from_cache(self, local: Listing, remote: Remote) -> list[LocalFile]:
        files = list(to_hash(local, remote))
        checksums = self.hashes.get_all([file.stamp for file in files])
        return [LocalFile(file.path, file.stamp, checksum) for file, checksum in zip(files, checksums, strict=True)]

    def checksum(self, tree: Tree, file: LocalFile) -> str:
        """Return the checksum of a file.

        Raises:
            CfsError: It cannot be read, or was written to meanwhile.
        """
        return self._checksum(tree, file, self.stop)

    def _checksum(self, tree: Tree, file: LocalFile, stop: Stop) -> str:
        with self.places.taking(1):
            return checksum_of(tree, file, self.hashes, stop)

    # --- doing --------------------------------------------------------------------------------------------------------

    def apply(self, plan: Plan, tree: Tree, label: str, progress: Progress | None = None) -> None:
        """Do what a plan says. One file that cannot be moved stops no other; a store that is down stops all.

        Raises:
            SyncError: Some files could not be moved; all others were.
            CfsError: The store, the server or the disk ended it.
        """
        tally = Tally(progress or Progress())
        tally.progress.total_files = len(plan.to_upload) + len(plan.to_download)
        tally.progress.total_bytes = plan.bytes
        going_on = {unfinished_path(file) for file in plan.to_download}
        tree.discard([path for path in plan.unfinished if path not in going_on])
        if not plan.empty:
            prefix = self.prefix() if plan.to_upload else ""
            with self._moving(tree, prefix, tally.progress.moved) as mover:
                jobs = [partial(self._up, mover, files, label, tally) for files in batches(plan.to_upload)]
                jobs += [partial(self._down, mover, files, tally) for files in batches(plan.to_download)]
                each(jobs, lambda job: job(), mover.stop, at_once=self.files_at_once)
        if tally.failures:
            raise SyncError(tally.failures)

    @contextmanager
    def _moving(self, tree: Tree, prefix: str = "", moved: Counter = lambda _count: None) -> Iterator[Mover]:
        """Yield what moves files; afterwards threads that are still at it stop, and what was learnt is kept."""
        try:
            with stopping(self.stop) as stop:
                yield Mover(self.store, tree, self.hashes, prefix, moved, self.budget, stop)
        finally:
            self.hashes.save()

    def fetch(self, tree: Tree, file: RemoteFile) -> None:
        """Put one stored file into a directory."""
        with self._moving(tree) as mover, raising() as tally:
            self._down(mover, [file], tally)

    def store_file(self, tree: Tree, path: str, label: str) -> bool:
        """Store one file of a directory under a label, unless it is there already; return whether it was stored."""
        with tree.reading(path) as descriptor:
            file = LocalFile(path, Stamp.of(os.fstat(descriptor)))
        with suppress(NotFoundError):
            kept = self._again(lambda: self.client.from_thread(Client.file, *label_of(label, path)), self.stop)
            if kept.size == file.size and kept.checksum == self.checksum(tree, file):
                return False
        if lost(tree, [file], lambda file: self.checksum(tree, file)):
            raise ContentError(f"{tree.path / path}: {LOST}, so it was not stored; cfs sync brings it again")
        with self._moving(tree, self.prefix()) as mover, raising() as tally:
            self._up(mover, [file], label, tally)
        return True

    def _down(self, mover: Mover, files: Sequence[RemoteFile], tally: Tally) -> None:
        batch, mover = Batch(files, partial(reached, mover)), mover.own()

        def down(ahead: Ahead, file: RemoteFile) -> None:
            with tally.one():
                fetch(mover, file, ahead.content)
                tally.progress.done()

        def run() -> None:
            with closing(Ahead(self.store, batch.waiting())) as ahead, self.places.taking(ahead.places):
                batch.run(partial(down, ahead))

        self._again(run, mover.stop, batch.reached)

    def _up(self, mover: Mover, files: Sequence[LocalFile], root: str, tally: Tally) -> None:
        batch, stored, mover = Batch(files), list[FileRecord](), mover.own()

        def up(file: LocalFile) -> None:
            with tally.one():
                stored.append(self._describe(*label_of(root, file.path), send(mover, file)))

        self._run(batch, up, mover.stop)
        records = Batch(stored)

        def record(one: FileRecord) -> None:
            with tally.one():
                mover.check()
                add_record(self.client, one)
                tally.progress.done()

        self._run(records, record, mover.stop)

    def _describe(self, label: str, name: str, sent: Sent) -> FileRecord:
        place = self.store.place
        return FileRecord(
            label=label, name=name, size=sent.size, checksum=sent.checksum, object=sent.object,
            bucket=place.bucket, server=place.server, tls=place.tls, region=place.region,
        )  # fmt: skip

    # --- how ----------------------------------------------------------------------------------------------------------

    def _run(self, batch: Batch[F], work: Callable[[F], None], stop: Stop) -> None:
        def run() -> None:
            with self.places.taking(1):
                batch.run(work)

        self._again(run, stop, batch.reached)

    def _again(self, call: Callable[[], T], stop: Stop, reached: Callable[[], int] = lambda: 0) -> T:
        return again(call, self.patience, stop, reached)
