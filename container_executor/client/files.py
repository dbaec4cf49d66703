"""Calls about the file system's metadata: labels, file records, snapshots. Contents never pass through the server."""

from typing import Any

from container_executor.client import parse
from container_executor.client.call import Call, Caller, about, many, nothing
from container_executor.client.errors import NotFoundError, ProtocolError
from container_executor.client.models import FileEntry, FileRecord, Label, Snapshot
from container_executor.client.reading import Reading


class FileCalls(Caller):
    """Labels, file records and snapshots. The server normalises no label: begin with one "/" and end without."""

    async def labels(self, prefix: str = "", *, exact: bool = False) -> list[Label]:
        """Return labels that begin with *prefix*, or with *exact* that label and those below it.

        The server takes ``%`` and ``_`` for wildcards, and with *exact* finds nothing at all where the label itself holds no
        file: ask without, and compare the names.
        """
        fields = {**self._here(), "name": prefix, "exact": exact}
        return await self._ask(Call("getfilelabelsmsg", fields, many(_label), repeatable=True))

    async def files(self, label: str) -> list[FileEntry]:
        """Return the current revisions of the files in a label, not below it."""
        return await self._ask(
            Call("getfilesmsg", {**self._here(), "label": label}, many(parse.file_entry), repeatable=True)
        )

    async def file(self, label: str, name: str) -> FileRecord:
        """Return the current revision of a file."""
        return (await self._records({"label": label, "name": name, "latest": True}))[0]

    async def revisions(self, label: str, name: str) -> list[FileRecord]:
        """Return all revisions of a file, newest first."""
        return await self._records({"label": label, "name": name, "latest": False})

    async def file_by_id(self, file_id: str) -> FileRecord:
        """Return one revision of a file."""
        return (await self._records({"fileid": file_id}))[0]

    async def add_file(self, record: FileRecord) -> FileRecord:
        """Add a revision of a file, after its content has been stored. Keys of the store are never sent. Never repeated.

        Raises:
            ProtocolError: The server answered that all is well and stored nothing, as it does when its database refuses the
                record (names of several kB, for one).
        """

        def read(value: Any, path: str) -> FileRecord:
            if value is None:
                raise ProtocolError(f"the server did not store the record of {record.label}/{record.name}")
            return about("name", record.name, parse.file_record)(value, path)

        return await self._ask(Call("addfilemsg", {"file": _fields(record, self.colony)}, read))

    async def remove_file(self, file_id: str = "", *, label: str = "", name: str = "") -> None:
        """Remove one revision by its id, or all of a file by label and name. The content stays in the object store."""
        if bool(file_id) == bool(label and name):
            raise ValueError("give either the id of a revision, or label and name")
        await self._ask(
            Call("removefilemsg", {**self._here(), "fileid": file_id, "label": label, "name": name}, nothing)
        )

    async def create_snapshot(self, label: str, name: str) -> Snapshot:
        """Note which files a label and all below it hold now. Names are unique in the colony and have no colon."""
        fields = {**self._here(), "label": label, "name": name}
        return await self._ask(Call("createsnapshotmsg", fields, about("name", name, parse.snapshot)))

    async def snapshot(self, snapshot_id: str = "", *, name: str = "") -> Snapshot:
        """Return a snapshot by its id or its name."""
        key, asked = ("name", name) if name else ("snapshotid", snapshot_id)
        call = Call("getsnapshotmsg", {**self._here(), key: asked}, about(key, asked, parse.snapshot), repeatable=True)
        return await self._ask(call)

    async def snapshots(self) -> list[Snapshot]:
        """Return the colony's snapshots."""
        return await self._ask(Call("getsnapshotsmsg", self._here(), many(parse.snapshot), repeatable=True))

    async def remove_snapshot(self, snapshot_id: str = "", *, name: str = "") -> None:
        """Remove a snapshot by its id or its name; no error where there is none."""
        key, asked = ("name", name) if name else ("snapshotid", snapshot_id)
        await self._ask(Call("removesnapshotmsg", {**self._here(), key: asked}, nothing))

    async def _records(self, fields: dict[str, Any]) -> list[FileRecord]:
        def read(row: Reading) -> FileRecord:
            for key in ("fileid", "label", "name"):
                if key in fields:
                    row.same(key, fields[key])
            return parse.file_record(row)

        records = await self._ask(Call("getfilemsg", {**self._here(), **fields}, many(read), repeatable=True))
        if not records:
            raise NotFoundError(404, "no such file", call="getfilemsg")
        return records

    def _here(self) -> dict[str, Any]:
        return {"colonyname": self.colony}


def _label(row: Reading) -> Label:
    return Label(name=row.text("name"), files=row.number("files"))


def _fields(record: FileRecord, colony: str) -> dict[str, Any]:
    host, port = _address(record)
    place = {
        "server": host,
        "port": port,
        "tls": record.tls,
        "accesskey": "",
        "secretkey": "",
        "region": record.region,
        "encryptionkey": "",
        "encryptionalg": "",
        "object": record.object,
        "bucket": record.bucket,
    }
    return {
        "colonyname": colony,
        "label": record.label,
        "name": record.name,
        "size": record.size,
        "checksum": record.checksum,
        "checksumalg": "SHA256",
        "ref": {"protocol": "s3", "s3object": place},
    }


def _address(record: FileRecord) -> tuple[str, int]:
    """Return host and port apart: pycolonies reads a file from there, the official client from its own settings only."""
    host, _, port = record.server.rpartition(":")
    if host and port.isascii() and port.isdigit():
        return host, int(port)
    return record.server, (443 if record.tls else 80) if record.server else -1
