"""What is written into the database at a start, and by the program that the server is a part of."""

import sqlite3
from collections.abc import Sequence

from container_executor.errors import ServerError
from container_executor.server.members import ID_LENGTH


def own(db: sqlite3.Connection, server_id: str, host: str, port: int) -> None:
    """Store where the server listens, and its owner unless that was changed since a start with the same id."""
    known = dict(db.execute("SELECT key, value FROM server"))
    given = {"host": host, "port": str(port), "given": server_id}
    if known.get("given") != server_id:
        given["serverid"] = server_id
    db.executemany("INSERT OR REPLACE INTO server VALUES (?, ?)", given.items())


def check_ids(owner_id: str, users: Sequence[tuple[str, str]]) -> None:
    """Raise :class:`ServerError` for what cannot be an id."""
    for found in (owner_id, *(userid for _, userid in users)):
        if len(found) != ID_LENGTH:
            raise ServerError(f"{found!r} is no id: expected {ID_LENGTH} hex digits")


def make(db: sqlite3.Connection, colony: str, owner_id: str, users: Sequence[tuple[str, str]]) -> None:
    """Make a colony and users, or give known ones these ids."""
    db.execute(
        "INSERT INTO colonies (name, colonyid) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET colonyid = excluded.colonyid",
        (colony, owner_id),
    )
    for name, userid in users:
        db.execute("DELETE FROM users WHERE colony = ? AND (name = ? OR userid = ?)", (colony, name, userid))
        db.execute(
            "INSERT INTO users (colony, userid, name, email, phone) VALUES (?, ?, ?, '', '')", (colony, userid, name)
        )
