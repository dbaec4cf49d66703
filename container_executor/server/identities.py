"""Changing keys: of a user, an executor, a colony's owner, the server's owner."""

from container_executor.server.call import Call, Handler
from container_executor.server.fields import dump, struct, text
from container_executor.server.members import ID_LENGTH
from container_executor.server.refusal import Refused
from container_executor.server.roles import colony_owner, registered, server_owner


def change_executor(call: Call) -> str:
    """Give the calling executor a new id. What it runs stays the old one's, as at the Go server: nobody can close it."""
    _change_member(call, "executors", "executorid", _new_id(call, "executorid", "executor"), "executor")
    return _echo(call)


def change_user(call: Call) -> str:
    """Give the calling user a new id."""
    _change_member(call, "users", "userid", _new_id(call, "userid", "user"), "user")
    return _echo(call)


def _change_member(call: Call, table: str, column: str, new: str, what: str) -> None:
    colony = call.message["colonyname"]
    taken = f"SELECT 1 FROM {table} WHERE colony = ? AND {column} = ?"  # noqa: S608
    if call.db.execute(taken, (colony, new)).fetchone():
        raise Refused(403, f"Failed to change {what} Id, the new Id is already used in Colony <{colony}>")
    update = f"UPDATE {table} SET {column} = ? WHERE colony = ? AND {column} = ?"  # noqa: S608
    if call.db.execute(update, (new, colony, call.caller)).rowcount == 0:
        raise Refused(400, f"Failed to change {what} Id, {what} not found")


def change_colony(call: Call) -> str:
    """Give a colony a new owner."""
    new = _new_id(call, "colonyid", "colony")
    call.db.execute("UPDATE colonies SET colonyid = ? WHERE name = ?", (new, call.message["colonyname"]))
    return _echo(call)


def change_server(call: Call) -> str:
    """Give the server a new owner; it overrides the one that the server is started with."""
    call.db.execute("UPDATE server SET value = ? WHERE key = 'serverid'", (_new_id(call, "serverid", "server"),))
    return _echo(call)


def _new_id(call: Call, field: str, what: str) -> str:
    new: str = call.message[field]
    if not new:
        raise Refused(400, f"Failed to change {what} Id, {what} Id is empty")
    if len(new) != ID_LENGTH:
        raise Refused(400, f"Failed to change {what} Id, new {what} Id is not {ID_LENGTH} characters")
    return new


def _echo(call: Call) -> str:
    return dump(call.message)


HANDLERS = (
    Handler(
        "changeexecutoridmsg",
        "change executor Id",
        struct(colonyname=text, executorid=text),
        registered(),
        change_executor,
    ),
    Handler("changeuseridmsg", "change user Id", struct(colonyname=text, userid=text), registered(), change_user),
    Handler(
        "changecolonyidmsg", "change colony Id", struct(colonyname=text, colonyid=text), colony_owner(), change_colony
    ),
    Handler("changeserveridmsg", "change server Id", struct(serverid=text), server_owner, change_server),
)
"""The messages of this module."""
