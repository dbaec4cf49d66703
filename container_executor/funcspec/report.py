"""Noting what is wrong with a spec: every problem with its JSON path, in words that stay short however long the input is."""

import json
import re
from typing import Any

import attrs

from container_executor.errors import Problem, SpecError

MOST_NOTES = 100
"""Problems beyond these are only counted, and warnings beyond these are left out."""

_LONGEST_SHOWN = 60
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_.-]+")


@attrs.define(eq=False)
class Report:
    """What was found wrong, in the order of reading.

    Attributes:
        strict: A user wrote the spec. Otherwise a server sent it, which may be newer than this program.
        problems: Why the spec cannot be used.
        warnings: What the user should know.
    """

    strict: bool = True
    problems: list[Problem] = attrs.field(factory=list)
    warnings: list[Problem] = attrs.field(factory=list)
    _more: int = 0

    def error(self, path: str, message: str) -> None:
        """Note that the spec cannot be used."""
        if self.full:
            self._more += 1
        else:
            self.problems.append(Problem(path, message))

    def warn(self, path: str, message: str) -> None:
        """Note something that the user should know."""
        if len(self.warnings) < MOST_NOTES:
            self.warnings.append(Problem(path, message))

    def refuse(self, path: str, message: str) -> None:
        """Note an error in what a user wrote, or a warning in what a server sent."""
        if self.strict:
            self.error(path, message)
        else:
            self.warn(path, message)

    @property
    def full(self) -> bool:
        """True once problems are only counted."""
        return len(self.problems) >= MOST_NOTES

    def check(self) -> None:
        """Do nothing if there is no problem.

        Raises:
            SpecError: With every problem that was kept, and the number of the others.
        """
        if self.problems:
            rest = [Problem("", f"and {self._more} more")] if self._more else []
            raise SpecError([*self.problems, *rest])


def join(path: str, key: str) -> str:
    """Return the JSON path of the member *key* of the object at *path*."""
    if len(key) <= _LONGEST_SHOWN and _PLAIN_KEY.fullmatch(key):
        return f"{path}.{key}" if path else key
    return f"{path}[{shown(key)}]"


def shown(value: str) -> str:
    """Return a text as JSON, cut to what fits in a message."""
    return json.dumps(value if len(value) <= _LONGEST_SHOWN else value[:_LONGEST_SHOWN] + "...", ensure_ascii=False)


def described(value: Any) -> str:
    """Return what kind of JSON value it is, for a message: ``a list``, ``the text "two"``."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return f"the text {shown(value)}"
        case int() | float():
            return f"the number {value!r}" if abs(value) < 10**_LONGEST_SHOWN else "a huge number"
        case list() | tuple():
            return "a list"
        case dict():
            return "an object"
        case _:
            return f"no JSON value ({type(value).__name__})"
