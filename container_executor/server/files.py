"""Records of files: which object holds the content of which name under which label. The content is elsewhere."""

import sqlite3
from typing import Any

from container_executor.server.call import EMPTY, Call, Handler
from container_executor.server.fields import boolean, dump, integer, needed, struct, text
from container_executor.server.refusal import Refused
from container_executor.server.roles import member
from container_executor.server.stamps import rfc3339
from container_executor.server.submitting import new_id

_OBJECT = struct(
    server=text, port=integer, tls=boolean, accesskey=text, secretkey=text, region=text, encryptionkey=text,
    encryptionalg=text, object=text, bucket=text,
)  # fmt: skip
_FILE = struct(
    colonyname=text, label=text, name=text, size=integer, checksum=text, checksumalg=text,
    ref=struct(protocol=text, s3object=_OBJECT),
)  # fmt: skip

_GIVEN = ("colonyname", "label", "name", "size", "checksum", "checksumalg")
_SELECT = "SELECT fileid, colony, label, name, size, seq, checksum, checksumalg, ref, added FROM files"
_LONGEST = 2000
"""Bytes of a label or a name; the Colonies server's index takes no more than some thousand."""


def _of_file(message: dict[str, Any]) -> str:
    colony: str = message["file"]["colonyname"]
    return colony


def add(call: Call) -> str:
    """Store a new revision of a file."""
    given = call.message["file"]
    if max(len(given["label"].encode()), len(given["name"].encode())) > _LONGEST:
        raise Refused(400, f"Failed to add file, label and name must have at most {_LONGEST} bytes")
    fileid, ref = new_id(), dump(given["ref"])
    colony, label, name, size, checksum, algorithm = (given[field] for field in _GIVEN)
    revision = call.db.execute(
        "INSERT INTO files (fileid, colony, label, name, size, checksum, checksumalg, ref, added, object) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (fileid, colony, label, name, size, checksum, algorithm, ref, call.now, given["ref"]["s3object"]["object"]),
    ).lastrowid
    return _json((fileid, colony, label, name, size, revision, checksum, algorithm, ref, call.now))


def _select(db: sqlite3.Connection, rest: str, *values: Any) -> list[tuple[Any, ...]]:
    return db.execute(f"{_SELECT} {rest}", values).fetchall()


def _json(row: tuple[Any, ...]) -> str:
    fileid, colony, label, name, size, revision, checksum, algorithm, ref, added = row
    return (
        f'{{"fileid":"{fileid}","colonyname":{dump(colony)},"label":{dump(label)},"name":{dump(name)},"size":{size},'
        f'"sequencenr":{revision},"checksum":{dump(checksum)},"checksumalg":{dump(algorithm)},"ref":{ref},'
        f'"added":"{rfc3339(added)}"}}'
    )


def get(call: Call) -> str:
    """Return the record with an id, or the revisions of a name, newest first, or only the newest."""
    message = call.message
    if message["fileid"]:
        rows = _select(call.db, "WHERE colony = ? AND fileid = ?", message["colonyname"], message["fileid"])
        if not rows:
            raise Refused(400, "Failed to get file")
    elif message["label"] and message["name"]:
        rest = "WHERE colony = ? AND label = ? AND name = ? ORDER BY seq DESC LIMIT ?"
        most = 1 if message["latest"] else -1
        rows = _select(call.db, rest, message["colonyname"], message["label"], message["name"], most)
    else:
        raise Refused(500, "malformatted get file msg")
    if not rows:
        raise Refused(404, "Failed to get file")
    return f"[{','.join(_json(row) for row in rows)}]"


def listing(call: Call) -> str:
    """List the newest revision of each name directly under a label."""
    rows = call.db.execute(
        "SELECT json_object('name', name, 'checksum', checksum, 'size', size, 's3filename', object), max(seq) "
        "FROM files WHERE colony = ? AND label = ? GROUP BY name ORDER BY name",
        (call.message["colonyname"], call.message["label"]),
    )
    return f"[{','.join([row[0] for row in rows])}]"


def labels(call: Call) -> str:
    """List labels with the number of revisions under each: all, those that begin with a name, or a label and below.

    As on the Colonies server, ``_`` and ``%`` are wildcards, and a label without own files has nothing below it.
    """
    message = call.message
    found = labels_below(call.db, message["colonyname"], message["name"], exact=message["exact"])
    return dump([{"name": name, "files": count} for name, count in found] or None)


def labels_below(db: sqlite3.Connection, colony: str, name: str, *, exact: bool) -> list[tuple[str, int]]:
    """Return the labels that :func:`labels` lists, with their counts."""
    query = (
        "SELECT label, count(*) FROM files WHERE colony = ? "
        r"AND (label LIKE ? ESCAPE '\' OR label = ?) GROUP BY label ORDER BY label"
    )
    pattern = f"{name}/%" if exact and name else f"{name}%"
    found: list[tuple[str, int]] = db.execute(query, (colony, pattern, name)).fetchall()
    if exact and name and name not in dict(found):
        return []
    return found


def remove(call: Call) -> str:
    """Forget one record, or all revisions of a name; nothing to forget is fine."""
    message = call.message
    if message["fileid"]:
        call.db.execute("DELETE FROM files WHERE colony = ? AND fileid = ?", (message["colonyname"], message["fileid"]))
    elif message["label"] and message["name"]:
        call.db.execute(
            "DELETE FROM files WHERE colony = ? AND label = ? AND name = ?",
            (message["colonyname"], message["label"], message["name"]),
        )
    else:
        raise Refused(400, "malformatted remove file msg")
    return EMPTY


HANDLERS = (
    Handler("addfilemsg", "add file", struct(file=needed(_FILE)), member(_of_file), add),
    Handler(
        "getfilemsg",
        "get file",
        struct(colonyname=text, fileid=text, label=text, name=text, latest=boolean),
        member(),
        get,
    ),
    Handler("getfilesmsg", "get files", struct(colonyname=text, label=text), member(), listing),
    Handler("getfilelabelsmsg", "get files", struct(colonyname=text, name=text, exact=boolean), member(), labels),
    Handler(
        "removefilemsg",
        "remove file",
        struct(colonyname=text, fileid=text, label=text, name=text),
        member(),
        remove,
    ),
)
"""The messages of this module."""
