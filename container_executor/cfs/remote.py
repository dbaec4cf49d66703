"""What a label holds, and all labels below it. Blocking."""

from collections.abc import Collection, Sequence

import attrs

from container_executor.cfs.each import Stop, each
from container_executor.cfs.names import MARKER, join_label, parts_below, why_refused
from container_executor.client import Client

_LABELS_AT_ONCE = 4
"""Enough to wait for a server far away; more threads take longer with one nearby, and twice the processor time, since each answer is read by Python."""


@attrs.frozen
class RemoteFile:
    """The current revision of a file under a label.

    Attributes:
        path: Below the root label, with "/" between its parts.
        size: Bytes.
        checksum: SHA-256 of its content, lowercase hex.
        object: Key of its content in the object store; other clients may have put nothing there for an empty file.
    """

    path: str
    size: int
    checksum: str
    object: str


@attrs.frozen
class Refused:
    """A record that cannot become a file here, and why."""

    label: str
    name: str
    reason: str

    def __str__(self) -> str:
        return f"the record {self.name[:80]!r} under the label {self.label[:80]!r} cannot be a file here: {self.reason}"


@attrs.frozen
class Remote:
    """What a label and those below it hold.

    Attributes:
        files: By path.
        refused: Records that cannot become files.
    """

    files: dict[str, RemoteFile]
    refused: tuple[Refused, ...] = ()

    def has(self, path: str, checksum: str) -> bool:
        """Return whether the current revision of a file has this content."""
        file = self.files.get(path)
        return file is not None and file.checksum == checksum


def labels_below(client: Client, root: str) -> list[str]:
    """Return the root label, if it holds files, and those below it, whatever characters they have.

    The server's own answer for "a label and below" is empty where the label itself holds no file, and takes "_" and "%" for any
    character; so all that begin alike are asked for, and compared here.
    """
    # A backslash in the pattern would quote the character after it (SQL LIKE).
    prefix = "" if root == "/" or "\\" in root else root
    labels = client.from_thread(Client.labels, prefix)
    return sorted(label.name for label in labels if parts_below(label.name, root) is not None)


def list_remote(client: Client, root: str, without: Collection[str], stop: Stop) -> Remote:
    """List a label and all below it.

    Args:
        client: The server.
        root: The label, in its one form.
        without: Paths below the root that are left out with all below them.
        stop: Ends it.
    """
    files: dict[str, RemoteFile] = {}
    refused: list[Refused] = []

    def one(label: str) -> None:
        parts = parts_below(label, root) or ()
        if not _left_out(parts, without):
            _list(client, label, parts, files, refused)

    each(labels_below(client, root), one, stop, at_once=_LABELS_AT_ONCE)
    return Remote(files, tuple(refused))


def _left_out(parts: Sequence[str], without: Collection[str]) -> bool:
    return any("/".join(parts[:count]) in without for count in range(1, len(parts) + 1))


def _list(
    client: Client, label: str, parts: tuple[str, ...], files: dict[str, RemoteFile], refused: list[Refused]
) -> None:
    bad_label = next(filter(None, map(why_refused, parts)), "")
    above = "".join(f"{part}/" for part in parts)
    for entry in client.from_thread(Client.files, label):
        if entry.name == MARKER:
            continue
        if reason := bad_label or why_refused(entry.name):
            refused.append(Refused(label, entry.name, reason))
        else:
            path = above + entry.name
            files[path] = RemoteFile(path, entry.size, entry.checksum, entry.object)


def label_of(root: str, path: str) -> tuple[str, str]:
    """Return label and name of the file at *path* below the root label."""
    *below, name = path.split("/")
    return join_label(root, *below), name
