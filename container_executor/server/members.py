"""Colonies and their users."""

from typing import Any

from container_executor.server.call import EMPTY, Call, Handler
from container_executor.server.fields import dump, needed, struct, text
from container_executor.server.refusal import Refused
from container_executor.server.roles import colony_owner, member, registered, server_owner
from container_executor.server.schema import COLONY_TABLES

ID_LENGTH = 64

_COLONY = struct(colonyname=text)


def add_colony(call: Call) -> str:
    """Make a colony."""
    colony = call.message["colony"]
    if len(colony["colonyid"]) != ID_LENGTH:
        raise Refused(400, "Failed to add colony, invalid colony Id length")
    if not colony["name"]:
        raise Refused(400, "Failed to add colony, the name is empty")
    if _known_colony(call, colony["name"]):
        raise Refused(400, f"A Colony with name <{colony['name']}> already exists")
    call.db.execute("INSERT INTO colonies (name, colonyid) VALUES (?, ?)", (colony["name"], colony["colonyid"]))
    return dump(colony)


def _known_colony(call: Call, name: str) -> bool:
    return call.db.execute("SELECT 1 FROM colonies WHERE name = ?", (name,)).fetchone() is not None


def remove_colony(call: Call) -> str:
    """Remove a colony and everything in it."""
    name = call.message["colonyname"]
    if not _known_colony(call, name):
        raise Refused(400, f"Colony with name <{name}> not found")
    for table in COLONY_TABLES:
        call.db.execute(f"DELETE FROM {table} WHERE colony = ?", (name,))  # noqa: S608
    call.db.execute("DELETE FROM colonies WHERE name = ?", (name,))
    return EMPTY


def list_colonies(call: Call) -> str:
    """List all colonies."""
    rows = call.db.execute("SELECT colonyid, name FROM colonies ORDER BY name").fetchall()
    return dump([{"colonyid": row[0], "name": row[1]} for row in rows] or None)


def get_colony(call: Call) -> str:
    """Return one colony."""
    name = call.message["colonyname"]
    row = call.db.execute("SELECT colonyid FROM colonies WHERE name = ?", (name,)).fetchone()
    return dump({"colonyid": row[0], "name": name})


def _of_user(message: dict[str, Any]) -> str:
    colony: str = message["user"]["colonyname"]
    return colony


def add_user(call: Call) -> str:
    """Make a user of a colony."""
    user = call.message["user"]
    colony = user["colonyname"]
    if call.db.execute("SELECT 1 FROM users WHERE colony = ? AND name = ?", (colony, user["name"])).fetchone():
        raise Refused(400, f"A user with name <{user['name']}> already exists in Colony with name <{colony}>")
    if call.db.execute("SELECT 1 FROM users WHERE colony = ? AND userid = ?", (colony, user["userid"])).fetchone():
        raise Refused(400, f"A user with Id <{user['userid']}> already exists in Colony with name <{colony}>")
    call.db.execute(
        "INSERT INTO users (colony, userid, name, email, phone) VALUES (?, ?, ?, ?, ?)",
        (colony, user["userid"], user["name"], user["email"], user["phone"]),
    )
    return dump(user)


_USER = "SELECT colony, userid, name, email, phone FROM users WHERE colony = ?"


def _user_json(row: tuple[str, ...]) -> dict[str, str]:
    return dict(zip(("colonyname", "userid", "name", "email", "phone"), row, strict=True))


def list_users(call: Call) -> str:
    """List the users of a colony."""
    rows = call.db.execute(f"{_USER} ORDER BY name", (call.message["colonyname"],)).fetchall()
    return dump([_user_json(row) for row in rows] or None)


def get_user(call: Call) -> str:
    """Return the user with a name."""
    return _one_user(call, "name", call.message["name"])


def get_user_by_id(call: Call) -> str:
    """Return the user with an id."""
    return _one_user(call, "userid", call.message["userid"])


def _one_user(call: Call, column: str, value: str) -> str:
    row = call.db.execute(f"{_USER} AND {column} = ?", (call.message["colonyname"], value)).fetchone()
    if row is None:
        raise Refused(400, f"User <{value}> not found")
    return dump(_user_json(row))


def remove_user(call: Call) -> str:
    """Remove a user."""
    colony, name = call.message["colonyname"], call.message["name"]
    if call.db.execute("DELETE FROM users WHERE colony = ? AND name = ?", (colony, name)).rowcount == 0:
        raise Refused(400, f"User with name <{name}> not found")
    return EMPTY


_NEW_USER = struct(colonyname=text, userid=text, name=text, email=text, phone=text)

HANDLERS = (
    Handler(
        "addcolonymsg",
        "add colony",
        struct(colony=needed(struct(colonyid=text, name=text))),
        server_owner,
        add_colony,
    ),
    Handler("removecolonymsg", "remove colony", _COLONY, server_owner, remove_colony),
    Handler("getcoloniesmsg", "get colonies", struct(), server_owner, list_colonies),
    Handler("getcolonymsg", "get colony", _COLONY, member(), get_colony),
    Handler("addusermsg", "add user", struct(user=needed(_NEW_USER)), colony_owner(_of_user), add_user),
    Handler("getusersmsg", "get users", _COLONY, registered(), list_users),
    Handler("getusermsg", "get user", struct(colonyname=text, name=text), registered(), get_user),
    Handler("getuserbyidmsg", "get user", struct(colonyname=text, userid=text), registered(), get_user_by_id),
    Handler("removeusermsg", "remove user", struct(colonyname=text, name=text), colony_owner(), remove_user),
)
"""The messages of this module."""
