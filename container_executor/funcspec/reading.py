"""Reading untrusted JSON values: a problem is noted with its path, and reading goes on.

A reader returns what it read, or a default where the value is missing, null or wrong. Nothing here takes more than linear time.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import attrs

from container_executor.funcspec.keys import Keys
from container_executor.funcspec.report import Report, described, join, shown
from container_executor.units import LARGEST, parse_memory

DEEPEST = 100
"""Levels of nesting that a free value may have."""

LARGEST_EXACT = 2**53
"""The server holds numbers of free values as 64-bit floating point."""

MIB = 2**20

_LONGEST_QUANTITY = 64


class Repeated(dict[str, Any]):
    """A JSON object in which some keys stood more than once."""

    repeated: tuple[str, ...] = ()


@attrs.frozen(eq=False)
class Section:
    """An object of the spec.

    Attributes:
        path: JSON path of the object; "" for the spec itself.
        members: Values by their name on the wire. A null is left out: to the server it is the same.
        spelled: The key that the user wrote, by the name on the wire.
        others: Members whose key has no name on the wire.
        report: Where problems are noted.
    """

    path: str
    members: Mapping[str, Any]
    spelled: Mapping[str, str]
    others: Mapping[str, Any]
    report: Report

    def at(self, name: str) -> str:
        """Return the JSON path of a member, as the user spelled it."""
        return join(self.path, self.spelled.get(name, name))

    def text(self, name: str) -> str:
        """Return a text; "" by default."""
        return read_text(self.members.get(name, ""), self.at(name), self.report) or ""

    def flag(self, name: str) -> bool:
        """Return a boolean; False by default."""
        value = self.members.get(name, False)
        if not isinstance(value, bool):
            self.report.error(self.at(name), f"is {described(value)}, expected true or false")
        return value is True

    def whole(self, name: str, *, low: int, high: int, default: int = 0) -> int:
        """Return a whole number from *low* to *high*."""
        value = self.members.get(name, default)
        if not _is_number(value) or value != value // 1:
            self.report.error(self.at(name), f"is {described(value)}, expected a whole number")
            return default
        if not low <= value <= high:
            self.report.error(self.at(name), f"is {described(value)}, expected {low} to {high}")
            return default
        return int(value)

    def quantity(self, name: str, parse: Callable[[str], int]) -> int:
        """Return what *parse* makes of a text or a number; 0 by default and for an empty text."""
        text = _quantity_text(self.members.get(name, ""))
        if text is None:
            self.report.error(self.at(name), f"is {described(self.members[name])}, expected a text such as 500m or 1Gi")
        elif len(text) > _LONGEST_QUANTITY:
            self.report.error(self.at(name), f"{shown(text)} is too long for a quantity")
        elif text.strip():
            return self._parsed(name, text, parse)
        return 0

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of texts; empty by default."""
        path = self.at(name)
        items = read_list(self.members.get(name, []), path, self.report, '["text", ...]')
        texts = [read_text(item, f"{path}[{i}]", self.report) for i, item in enumerate(items)]
        return tuple(text for text in texts if text is not None)

    def section(self, name: str, keys: Keys, example: str) -> "Section":
        """Return a member that is an object; an empty one by default."""
        return open_section(self.members.get(name, {}), self.at(name), keys, self.report, example)

    def sections(self, name: str, keys: Keys, example: str) -> list["Section"]:
        """Return a list of objects; empty by default."""
        path = self.at(name)
        items = read_list(self.members.get(name, []), path, self.report, f"[{example}]")
        return [open_section(item, f"{path}[{i}]", keys, self.report, example) for i, item in enumerate(items)]

    def _parsed(self, name: str, text: str, parse: Callable[[str], int]) -> int:
        try:
            return parse(text)
        except ValueError as error:
            self.report.error(self.at(name), str(error))
            return 0


def open_section(value: Any, path: str, keys: Keys, report: Report, example: str) -> Section:
    """Sort the members of an object by their names on the wire; an object is expected like *example*."""
    members: dict[str, Any] = {}
    spelled: dict[str, str] = {}
    others: dict[str, Any] = {}
    for key, member in read_object(value, path, report, example).items():
        name = keys.find(key)
        if name is None:
            others[key] = member
        elif member is None:
            continue
        elif name in members and not _is_same(members[name], member):
            report.error(join(path, key), f"says something else than {shown(spelled[name])}; leave one of them out")
        else:
            members[name], spelled[name] = member, key
    return Section(path, members, spelled, others, report)


def _is_same(one: Any, other: Any) -> bool:
    """Return True for equal plain values. Lists and objects count as different: comparing deep ones recurses without bound."""
    return isinstance(one, str | int | float) and isinstance(other, str | int | float) and one == other


def refuse_others(section: Section, keys: Keys) -> None:
    """Note every key that has no name on the wire, with what to write instead: the server would drop it without a word."""
    for key in section.others:
        if section.report.full:
            section.report.refuse(join(section.path, key), "unknown key")
        else:
            section.report.refuse(join(section.path, key), _advice(key, keys))


def _advice(key: str, keys: Keys) -> str:
    replacement = keys.replacement(key)
    if replacement is not None:
        return f"not understood any more: {replacement}"
    nearest = keys.nearest(key)
    return f"unknown key; did you mean {nearest}?" if nearest else f"unknown key; there are {', '.join(keys.names)}"


def read_object(value: Any, path: str, report: Report, example: str) -> dict[str, Any]:
    """Return the members of an object; none where it is no object, or where a key is no text."""
    if not isinstance(value, dict):
        report.error(path, f"is {described(value)}, expected an object such as {example}")
        return {}
    if isinstance(value, Repeated):
        for key in value.repeated:
            report.error(join(path, key), "stands there more than once; leave one")
    for key in value:
        if not isinstance(key, str):
            report.error(path, f"has a key that is no text ({type(key).__name__})")
            return {}
    return value


def read_list(value: Any, path: str, report: Report, example: str) -> Sequence[Any]:
    """Return the items of a list; none where it is no list."""
    if isinstance(value, list | tuple):
        return value
    report.error(path, f"is {described(value)}, expected a list such as {example}")
    return ()


def read_text(value: Any, path: str, report: Report) -> str | None:
    """Return a text that a program can be given, or None."""
    if not isinstance(value, str):
        report.error(path, f"is {described(value)}, expected a text")
        return None
    return value if _is_clean(value, path, report) else None


def read_word(value: Any, path: str, report: Report) -> str | None:
    """Return the text of a text, a number or a boolean, the latter two as JSON writes them; or None."""
    if isinstance(value, bool) or _is_number(value):
        return _number_text(value, path, report)
    if not isinstance(value, str):
        report.error(path, f"is {described(value)}, expected a text, a number, true or false")
        return None
    return read_text(value, path, report)


def read_free(value: Any, path: str, report: Report, depth: int = 0) -> Any:
    """Return a copy of any JSON value; None where it is none, or is nested too deep to travel."""
    if depth > DEEPEST:
        report.error(path, f"is nested deeper than {DEEPEST} levels")
        return None
    if isinstance(value, dict):
        members = read_object(value, path, report, "{}")
        return {key: read_free(member, join(path, key), report, depth + 1) for key, member in members.items()}
    if isinstance(value, list | tuple):
        return [read_free(item, f"{path}[{i}]", report, depth + 1) for i, item in enumerate(value)]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return value if _is_unicode(value, path, report) else None
    if _is_number(value) and abs(value) <= LARGEST:
        if isinstance(value, int) and abs(value) > LARGEST_EXACT:
            report.refuse(
                path, "is a whole number beyond 2^53, which a server does not keep exactly; write it as a text"
            )
        return value
    report.error(path, f"is {described(value)}, which JSON cannot carry")
    return None


def whole_mib(text: str) -> int:
    """Parse a size with a unit into bytes, rounded up to whole MiB as a server keeps them.

    Raises:
        ValueError: It is no size, or has no unit; the message says what is expected.
    """
    size = -(-parse_memory(text) // MIB) * MIB
    if size and not text.strip()[-1].isalpha():
        raise ValueError(f"{shown(text)} has no unit; write {text.strip()}Mi for MiB or {text.strip()}B for bytes")
    if size > LARGEST:
        raise ValueError(f"{shown(text)} is larger than any machine")
    return size


def _is_number(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool)


def _number_text(value: float, path: str, report: Report) -> str | None:
    if abs(value) <= LARGEST:
        return json.dumps(value)
    report.error(path, "is a huge number; write it as a text, in quotes")
    return None


def _quantity_text(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    if not _is_number(value):
        return None
    return f"{Decimal(repr(value)):f}" if abs(value) <= LARGEST else "9" * _LONGEST_QUANTITY


def _is_clean(text: str, path: str, report: Report) -> bool:
    if "\0" in text:
        report.error(path, "has a NUL character, which no program can be given")
        return False
    return _is_unicode(text, path, report)


def _is_unicode(text: str, path: str, report: Report) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError as error:
        report.error(path, f"has half a surrogate pair at character {error.start}, which is no Unicode text")
        return False
    return True
