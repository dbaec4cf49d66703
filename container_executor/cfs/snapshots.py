"""Snapshots: the files of a label and below as they were at one moment. Blocking."""

from contextlib import suppress

from container_executor.cfs.each import Stop, each, stopping
from container_executor.cfs.errors import CfsError
from container_executor.cfs.names import MARKER, parts_below, why_refused
from container_executor.cfs.remote import Refused, Remote, RemoteFile, labels_below
from container_executor.client import BadCallError, Client, FileRecord, NotFoundError, Snapshot

PLACEHOLDER = ".keep"
"""Name of the empty file that a label is given which has files below it only: a server takes a snapshot of nothing else."""
_EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def create_snapshot(client: Client, label: str, name: str) -> Snapshot:
    """Note which files a label and all below it hold now.

    A server notes nothing at all for a label that holds no file itself, whatever lies below it; such a label gets an empty
    file ``.keep`` first.

    Raises:
        CfsError: There is nothing under the label.
        ServerError: The server refused, as it does a name that is taken.
    """
    labels = labels_below(client, label)
    if not labels:
        raise CfsError(f"nothing is stored under the label {label}; a snapshot of it would be empty")
    if label not in labels:
        record = FileRecord(label=label, name=PLACEHOLDER, size=0, checksum=_EMPTY, object="0" * 64)
        client.from_thread(Client.add_file, record)
    made = client.from_thread(Client.create_snapshot, label, name)
    if not made.file_ids:
        with suppress(NotFoundError):
            client.from_thread(Client.remove_snapshot, made.id)
        raise CfsError(f"the server noted no file for a snapshot of {label}; try again")
    return made


def snapshot_files(client: Client, snapshot: Snapshot, stop: Stop) -> Remote:
    """Return what a snapshot holds, by paths below its label.

    Files of other labels, which a server adds where the label has a "_" or "%" in it, are left out.

    Raises:
        CfsError: A file of the snapshot was removed from the server.
    """
    files: dict[str, RemoteFile] = {}
    refused: list[Refused] = []

    def one(file_id: str) -> None:
        try:
            record = client.from_thread(Client.file_by_id, file_id)
        except (BadCallError, NotFoundError):
            raise CfsError(
                f"the snapshot {snapshot.name} is not whole any more: one of its files was removed from the server"
            ) from None
        _take(record, snapshot.label or "/", files, refused)

    with stopping(stop) as ours:
        each(snapshot.file_ids, one, ours)
    return Remote(files, tuple(refused))


def _take(record: FileRecord, root: str, files: dict[str, RemoteFile], refused: list[Refused]) -> None:
    below = parts_below(record.label, root)
    if below is None or record.name == MARKER:
        return
    reasons = [reason for part in (*below, record.name) if (reason := why_refused(part))]
    if reasons:
        refused.append(Refused(record.label, record.name, reasons[0]))
        return
    path = "/".join((*below, record.name))
    files[path] = RemoteFile(path, record.size, record.checksum, record.object)


def holding(client: Client, file_ids: set[str]) -> list[str]:
    """Return the names of the snapshots that hold one of these files."""
    snapshots = client.from_thread(Client.snapshots)
    return [snapshot.name for snapshot in snapshots if file_ids & set(snapshot.file_ids)]
