"""What a call is, and what the groups of calls need to make one."""

import abc
from collections.abc import AsyncGenerator, Callable, Mapping
from datetime import timedelta
from typing import Any, Generic, TypeVar

import attrs

from container_executor.client.reading import Reading, reading, rows
from container_executor.client.signing import Identity

T = TypeVar("T")

Read = Callable[[Any, str], T]
"""Turns the JSON of an answer into a value; the text is where it stands, for error messages."""


@attrs.frozen
class Call(Generic[T]):
    """One call, as data.

    Attributes:
        message: The server's name of the message.
        fields: What it carries.
        read: What becomes of the answer.
        repeatable: The call may be carried out twice without harm, so it is sent once more when its answer is lost: reads,
            and calls that set one whole value. Everything else is the caller's decision.
        signed: False for the few messages that anybody may send.
        answer: Payload type of a good answer, where it is not the message's own name.
        held: The server holds the answer back for up to this long. Such a call has a place of its own.
    """

    message: str
    fields: Mapping[str, Any]
    read: Read[T]
    repeatable: bool = False
    signed: bool = True
    answer: str = ""
    held: timedelta = timedelta(0)


class Caller(abc.ABC):
    """What a group of calls is given.

    Attributes:
        colony: Name of the colony that the calls are about.
        identity: Who signs them.
    """

    colony: str
    identity: Identity

    @abc.abstractmethod
    async def _ask(self, call: Call[T]) -> T:
        """Make the call and return its answer."""

    @abc.abstractmethod
    def _listen(self, call: Call[T], lasting: timedelta) -> AsyncGenerator[T, None]:
        """Subscribe, and yield what comes until the server ends it, about *lasting* later."""


def one(parse: Callable[[Reading], T]) -> Read[T]:
    """Read an object."""
    return lambda value, path: parse(reading(value, path))


def many(parse: Callable[[Reading], T]) -> Read[list[T]]:
    """Read a list of objects; null is an empty one."""
    return lambda value, path: [parse(row) for row in rows(value, path)]


def about(key: str, asked: str, parse: Callable[[Reading], T]) -> Read[T]:
    """Read an object whose *key* must be what was asked for."""

    def read(row: Reading) -> T:
        row.same(key, asked)
        return parse(row)

    return one(read)


def nothing(_value: Any, _path: str) -> None:
    """Read an answer that says no more than that it was done."""
