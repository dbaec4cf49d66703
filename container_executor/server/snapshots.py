"""Snapshots: the ids of the newest revisions below a label, under a name."""

import sqlite3
from typing import Any

from container_executor.server.call import EMPTY, Call, Handler
from container_executor.server.fields import dump, struct, text
from container_executor.server.files import labels_below
from container_executor.server.refusal import Refused
from container_executor.server.roles import member
from container_executor.server.stamps import rfc3339
from container_executor.server.submitting import new_id

_SELECT = "SELECT snapshotid, colony, label, name, fileids, added FROM snapshots WHERE colony = ?"


def create(call: Call) -> str:
    """Take a snapshot. One that holds nothing is made too."""
    message = call.message
    colony, name = message["colonyname"], message["name"]
    if call.db.execute("SELECT 1 FROM snapshots WHERE colony = ? AND name = ?", (colony, name)).fetchone():
        raise Refused(500, f"Snapshot with name <{name}> in Colony <{colony}> already exists")
    label = message["label"].removesuffix("/")
    row = (new_id(), colony, label, name, dump(_newest(call.db, colony, label) or None), call.now)
    call.db.execute(
        "INSERT INTO snapshots (snapshotid, colony, label, name, fileids, added) VALUES (?, ?, ?, ?, ?, ?)", row
    )
    return _json(row)


def _newest(db: sqlite3.Connection, colony: str, label: str) -> list[str]:
    ids: list[str] = []
    for name, _ in labels_below(db, colony, label, exact=True):
        rows = db.execute(
            "SELECT fileid, max(seq) FROM files WHERE colony = ? AND label = ? GROUP BY name ORDER BY name",
            (colony, name),
        )
        ids += [row[0] for row in rows]
    return ids


def _json(row: tuple[Any, ...]) -> str:
    snapshotid, colony, label, name, fileids, added = row
    return (
        f'{{"snapshotid":"{snapshotid}","colonyname":{dump(colony)},"label":{dump(label)},"name":{dump(name)},'
        f'"fileids":{fileids},"added":"{rfc3339(added)}"}}'
    )


def get(call: Call) -> str:
    """Return the snapshot with an id or a name."""
    colony, snapshotid, name = _asked(call, "Failed to get snapshot, malformatted msg")
    column, value = ("snapshotid", snapshotid) if snapshotid else ("name", name)
    row = call.db.execute(f"{_SELECT} AND {column} = ?", (colony, value)).fetchone()
    if row is None:
        word = "Id" if snapshotid else "name"
        raise Refused(500, f"Snapshot not found with {word} <{value}> in Colony <{colony}> does not exists")
    return _json(row)


def _asked(call: Call, nothing: str) -> tuple[str, str, str]:
    message = call.message
    if not message["snapshotid"] and not message["name"]:
        raise Refused(500, nothing)
    return message["colonyname"], message["snapshotid"], message["name"]


def listing(call: Call) -> str:
    """List the snapshots of a colony, newest first."""
    rows = call.db.execute(f"{_SELECT} ORDER BY added DESC", (call.message["colonyname"],)).fetchall()
    return f"[{','.join(_json(row) for row in rows)}]" if rows else "null"


def remove(call: Call) -> str:
    """Forget a snapshot; one that is not there is fine."""
    colony, snapshotid, name = _asked(call, "Failed to remove snapshot, malformatted msg")
    column, value = ("snapshotid", snapshotid) if snapshotid else ("name", name)
    call.db.execute(f"DELETE FROM snapshots WHERE colony = ? AND {column} = ?", (colony, value))  # noqa: S608
    return EMPTY


def remove_all(call: Call) -> str:
    """Forget all snapshots of a colony."""
    call.db.execute("DELETE FROM snapshots WHERE colony = ?", (call.message["colonyname"],))
    return EMPTY


_ONE = struct(colonyname=text, snapshotid=text, name=text)
_COLONY = struct(colonyname=text)

HANDLERS = (
    Handler("createsnapshotmsg", "create snapshot", struct(colonyname=text, label=text, name=text), member(), create),
    Handler("getsnapshotmsg", "get snapshot", _ONE, member(), get),
    Handler("getsnapshotsmsg", "get snapshots", _COLONY, member(), listing),
    Handler("removesnapshotmsg", "remove snapshot", _ONE, member(), remove),
    Handler("removeallsnapshotmsg", "remove snapshot", _COLONY, member(), remove_all),
)
"""The messages of this module."""
