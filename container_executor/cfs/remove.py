"""Removes files from a colony, and finds contents that no record names. Blocking."""

import time
from collections.abc import Collection

import attrs

from container_executor.cfs.each import each, stopping
from container_executor.cfs.errors import CfsError
from container_executor.cfs.snapshots import holding
from container_executor.cfs.sync import Syncer
from container_executor.client import Client, FileRecord, NotFoundError

YOUNG = 86_400.0
"""Seconds for which an object without a record may belong to an upload that is under way."""


def remove_files(syncer: Syncer, files: Collection[tuple[str, str]], *, force: bool = False) -> int:
    """Remove files, each by label and name: the records of all revisions first, then their contents.

    Returns:
        How many revisions there were.

    Raises:
        CfsError: A file is not there, or a snapshot holds one and *force* is not set; nothing was removed.
    """
    records: list[FileRecord] = []

    def one(file: tuple[str, str]) -> None:
        try:
            records.extend(syncer.client.from_thread(Client.revisions, *file))
        except NotFoundError:
            raise CfsError(f"no file {file[1]} is stored under the label {file[0]}") from None

    with stopping(syncer.stop) as stop:
        each(files, one, stop)
    held = holding(syncer.client, {record.id for record in records})
    if held and not force:
        raise CfsError(
            f"these snapshots hold some of them: {', '.join(sorted(held))}; remove those first, or use --force"
        )
    with stopping(syncer.stop) as stop:
        each(records, lambda record: syncer.client.from_thread(Client.remove_file, record.id), stop)
    syncer.store.delete([record.object for record in records if record.size])
    return len(records)


@attrs.frozen
class Orphan:
    """An object that no record names."""

    key: str
    size: int


def find_orphans(syncer: Syncer) -> list[Orphan]:
    """Return our objects of this colony that no revision of any file names and that are older than a day."""
    now, client = time.time(), syncer.client
    stored = {key: (size, added) for key, size, added in syncer.store.listing(syncer.prefix())}
    named: set[str] = set()

    def one(label: str) -> None:
        entries = client.from_thread(Client.files, label)
        named.update(entry.object for entry in entries)
        for entry in entries:
            if len(entries) != counts[label]:  # some have earlier revisions
                revisions = client.from_thread(Client.revisions, label, entry.name)
                named.update(record.object for record in revisions)

    # The records are read after the store: what is stored in between is not taken for an orphan.
    counts = {label.name: label.files for label in client.from_thread(Client.labels)}
    with stopping(syncer.stop) as stop:
        each(counts, one, stop)
    return [
        Orphan(key, size) for key, (size, added) in sorted(stored.items()) if key not in named and now - added > YOUNG
    ]
