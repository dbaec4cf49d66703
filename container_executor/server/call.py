"""A call being answered: who asks what, in which transaction, and what the world must hear of once it is committed."""

import sqlite3
from collections.abc import Callable
from typing import Any, Protocol

import attrs

from container_executor.server.fields import Decoder
from container_executor.server.process import Process


@attrs.frozen
class Entered:
    """A process has entered its state.

    Attributes:
        process: As it is now.
        text: Its JSON, only where a subscriber wants it.
    """

    process: Process
    text: str | None


@attrs.frozen
class Resumed:
    """A colony gives out work again."""

    colony: str


Effect = Entered | Resumed | Callable[[], None]
"""What happens on the event loop after the commit, in the order of the calls."""


class Watch(Protocol):
    """Knows whether anybody wants to hear of a process; asked from the database's thread."""

    def wants(self, process: Process) -> bool:
        """Whether a subscriber waits for this process to be in the state it is in now."""
        ...


@attrs.define(eq=False)
class Call:
    """One call, alone in its savepoint.

    Attributes:
        db: Within the transaction of the batch.
        now: Nanoseconds since 1970; later than in any earlier call of this database.
        caller: The id of the key that signed; empty where no signature is needed.
        message: The decoded fields.
        effects: Filled while the call runs.
        subject: The process that the call is about, once a role has found it.
    """

    db: sqlite3.Connection
    now: int
    caller: str
    message: dict[str, Any]
    watch: Watch
    effects: list[Effect] = attrs.field(factory=list)
    subject: Process | None = None

    @property
    def process(self) -> Process:
        """The process that the role of this call has found."""
        assert self.subject is not None  # noqa: S101 - a handler reads it only behind such a role
        return self.subject


Role = Callable[[Call], None]
Run = Callable[[Call], str]

EMPTY = "{}"
"""The payload of a reply that says only yes."""


@attrs.frozen
class Handler:
    """What one kind of message means.

    Attributes:
        msgtype: As the envelope names it.
        what: Follows "Failed to" where the message cannot be read.
        fields: Decodes the payload.
        role: Refuses who may not ask.
        run: Does it and returns the reply's payload.
        signed: Whether the signature is checked.
        bare: Whether the payload is not looked at.
        reply: The reply's type, where it is not that of the message.
    """

    msgtype: str
    what: str
    fields: Decoder
    role: Role
    run: Run
    signed: bool = True
    bare: bool = False
    reply: str = ""
