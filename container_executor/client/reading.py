"""Reads fields of an answer, each with its type, so that a wrong one is found at once and named by its path.

Go writes null for an empty list or map and leaves out fields that are empty, so absent and null mean empty.
"""

import enum
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Self, TypeVar

import attrs

from container_executor.client.clock import parse_time
from container_executor.client.errors import ProtocolError

_ID = re.compile(r"[0-9a-f]{64}")
_E = TypeVar("_E", bound=enum.IntEnum)
_LARGEST = 2**63 - 1


@attrs.frozen
class Reading:
    """A JSON object of an answer and where it stands in it.

    Every method raises :class:`ProtocolError` where the field is of another type than asked for.
    """

    path: str
    fields: Mapping[str, Any]

    def text(self, key: str) -> str:
        """Return a text, "" where it is absent."""
        value = self.fields.get(key)
        return "" if value is None else self._typed(key, value, str, "text")

    def number(self, key: str) -> int:
        """Return an integer of 64 bits, 0 where it is absent."""
        value = self.fields.get(key)
        if value is None:
            return 0
        if type(value) is not int or abs(value) > _LARGEST:
            raise self.wrong(key, "an integer")
        return value

    def real(self, key: str) -> float:
        """Return a number, 0.0 where it is absent."""
        value = self.fields.get(key)
        if value is None:
            return 0.0
        if type(value) not in (int, float) or abs(value) > _LARGEST:
            raise self.wrong(key, "a number")
        return float(value)

    def flag(self, key: str) -> bool:
        """Return a truth value, False where it is absent."""
        value = self.fields.get(key)
        return False if value is None else self._typed(key, value, bool, "true or false")

    def time(self, key: str) -> datetime | None:
        """Return a time, None where it is absent or unset in any of its shapes."""
        try:
            return parse_time(self.text(key))
        except ValueError:
            raise self.wrong(key, "a time") from None

    def id(self, key: str) -> str:
        """Return an id that the server made: 64 hex digits. It must be there."""
        value = self.fields.get(key)
        if not isinstance(value, str) or not _ID.fullmatch(value):
            raise self.wrong(key, "64 hex digits")
        return value

    def choice(self, key: str, kind: type[_E]) -> _E:
        """Return a member of *kind*. It must be there."""
        value = self.fields.get(key)
        try:
            return kind(value) if type(value) is int else kind(-1)
        except ValueError:
            raise self.wrong(key, f"a {kind.__name__}") from None

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of texts."""
        values = self.items(key)
        if not all(isinstance(value, str) for value in values):
            raise self.wrong(key, "a list of texts")
        return tuple(values)

    def items(self, key: str) -> list[Any]:
        """Return a list of anything."""
        value = self.fields.get(key)
        return [] if value is None else self._typed(key, value, list, "a list")

    def mapping(self, key: str) -> dict[str, Any]:
        """Return an object of anything."""
        value = self.fields.get(key)
        return {} if value is None else self._typed(key, value, dict, "an object")

    def inner(self, key: str) -> Self:
        """Return an object to read on in."""
        return type(self)(f"{self.path}.{key}", self.mapping(key))

    def rows(self, key: str) -> list["Reading"]:
        """Return a list of objects to read on in."""
        return rows(self.items(key), f"{self.path}.{key}")

    def same(self, key: str, asked: str) -> None:
        """Check that an answer is about what was asked."""
        if self.fields.get(key) != asked:
            raise self.wrong(key, asked)

    def wrong(self, key: str, expected: str) -> ProtocolError:
        """Return the error for a field that is not what was expected."""
        return ProtocolError(
            f"{self.path}.{key}: expected {expected}, the server sent {str(self.fields.get(key))[:80]!r}"
        )

    def _typed(self, key: str, value: Any, kind: type, words: str) -> Any:
        if not isinstance(value, kind):
            raise self.wrong(key, words)
        return value


def reading(value: Any, path: str) -> Reading:
    """Return *value*, which must be an object, to read in."""
    if not isinstance(value, dict):
        raise ProtocolError(f"{path}: expected an object, the server sent {str(value)[:80]!r}")
    return Reading(path, value)


def rows(value: Any, path: str) -> list[Reading]:
    """Return *value*, a list of objects or null, to read in."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise ProtocolError(f"{path}: expected a list, the server sent {str(value)[:80]!r}")
    return [reading(item, f"{path}[{index}]") for index, item in enumerate(value)]
