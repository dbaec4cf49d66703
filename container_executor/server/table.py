"""The table of all messages: what a message type means and who may send it."""

from container_executor.server import (
    assigning,
    attributes,
    closing,
    executors,
    files,
    flows,
    functions,
    identities,
    information,
    logs,
    members,
    pausing,
    processes,
    snapshots,
    statistics,
    submitting,
)
from container_executor.server.call import Handler

_GROUPS: tuple[tuple[Handler, ...], ...] = (
    (assigning.ASSIGN,),
    information.HANDLERS,
    members.HANDLERS,
    executors.HANDLERS,
    functions.HANDLERS,
    submitting.HANDLERS,
    processes.HANDLERS,
    closing.HANDLERS,
    flows.HANDLERS,
    files.HANDLERS,
    snapshots.HANDLERS,
    attributes.HANDLERS,
    logs.HANDLERS,
    pausing.HANDLERS,
    identities.HANDLERS,
    statistics.HANDLERS,
)

TABLE = {handler.msgtype: handler for group in _GROUPS for handler in group}
