"""Pausing a colony: it takes work but gives none out."""

from container_executor.server.call import EMPTY, Call, Handler, Resumed
from container_executor.server.fields import dump, struct, text
from container_executor.server.roles import colony_owner, registered

_COLONY = struct(colonyname=text)
_STATUS = "pausestatusreplymsg"


def pause(call: Call) -> str:
    """Stop giving out work."""
    _set(call, 1)
    return EMPTY


def resume(call: Call) -> str:
    """Give out work again, to waiting pollers at once."""
    _set(call, 0)
    call.effects.append(Resumed(call.message["colonyname"]))
    return EMPTY


def _set(call: Call, paused: int) -> None:
    call.db.execute("UPDATE colonies SET paused = ? WHERE name = ?", (paused, call.message["colonyname"]))


def status(call: Call) -> str:
    """Say whether a colony is paused."""
    name = call.message["colonyname"]
    paused = call.db.execute("SELECT paused FROM colonies WHERE name = ?", (name,)).fetchone()[0]
    return dump({"msgtype": _STATUS, "colonyname": name, "ispaused": bool(paused)})


HANDLERS = (
    Handler("pauseassignmentsmsg", "pause assignments", _COLONY, colony_owner(), pause),
    Handler("resumeassignmentsmsg", "resume assignments", _COLONY, colony_owner(), resume),
    Handler("getpausestatusmsg", "get pause status", _COLONY, registered(), status, reply=_STATUS),
)
"""The messages of this module."""
