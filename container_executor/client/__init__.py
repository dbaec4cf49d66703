"""A typed, asynchronous client of a Colonies server.

>>> from container_executor.client import Client, Identity
>>> async def status(url: str, colony: str, key: str, process_id: str) -> str:
...     async with Client(url, colony, Identity(key)) as client:
...         return (await client.process(process_id)).state.name
"""

from container_executor.client.client import Client
from container_executor.client.errors import (
    BadCallError,
    DeniedError,
    NoAnswerError,
    NotFoundError,
    PausedError,
    ProtocolError,
    RefusedError,
    ServerFaultError,
    UnsendableError,
)
from container_executor.client.identity import ensure_key, executor_name, load_key
from container_executor.client.models import (
    Attribute,
    Colony,
    Executor,
    ExecutorState,
    FileEntry,
    FileRecord,
    Function,
    Label,
    LogEntry,
    Process,
    ProcessGraph,
    ProcessState,
    Snapshot,
    Statistics,
    User,
)
from container_executor.client.signing import Identity

__all__ = [
    "Attribute",
    "BadCallError",
    "Client",
    "Colony",
    "DeniedError",
    "Executor",
    "ExecutorState",
    "FileEntry",
    "FileRecord",
    "Function",
    "Identity",
    "Label",
    "LogEntry",
    "NoAnswerError",
    "NotFoundError",
    "PausedError",
    "Process",
    "ProcessGraph",
    "ProcessState",
    "ProtocolError",
    "RefusedError",
    "ServerFaultError",
    "Snapshot",
    "Statistics",
    "UnsendableError",
    "User",
    "ensure_key",
    "executor_name",
    "load_key",
]
