"""What a message must look like: small decoders that turn untrusted JSON into values of known types.

The rules are those of Go's ``encoding/json`` (https://pkg.go.dev/encoding/json#Unmarshal), because clients rely on
them: names match in any case, unknown names are ignored, a missing or null field is the type's zero value, and
a number is never read from a text. A decoder gets the JSON value, or None where it is missing or null.
"""

import json
from collections.abc import Callable
from typing import Any

Decoder = Callable[[Any], Any]

LARGEST = 2**63 - 1
"""Integers are 64 bits wide on the wire and in the database."""

DEEPEST = 200
"""Levels of nesting in a payload. Real ones have less than ten; the limit keeps every later walk shallow."""


class Misfit(ValueError):  # noqa: N818 - says what the value is
    """A value that is not of the declared type."""


class NulError(ValueError):
    """A text with a NUL in it, which the protocol's server cannot store."""


def parse(raw: bytes) -> Any:
    """Parse JSON; bytes that are no UTF-8 become U+FFFD.

    Raises:
        Misfit: This is no JSON, or nested deeper than ``DEEPEST``.
    """
    try:
        found = _DECODER.decode(raw.decode("utf-8", "replace"))
        _check_depth(raw, found)
    except (ValueError, RecursionError) as error:
        raise Misfit(f"no JSON: {error}") from None
    return found


def _no_constant(name: str) -> Any:
    raise Misfit(f"{name} is no JSON")


_DECODER = json.JSONDecoder(parse_constant=_no_constant)


def _check_depth(raw: bytes, found: Any) -> None:
    if raw.count(b"[") + raw.count(b"{") <= DEEPEST:
        return
    level = [found]
    for _ in range(DEEPEST):
        level = [item for value in level if isinstance(value, dict | list) for item in _items(value)]
        if not level:
            return
    raise Misfit(f"nested deeper than {DEEPEST} levels")


def _items(value: dict[str, Any] | list[Any]) -> list[Any]:
    items = value.values() if isinstance(value, dict) else value
    return [item for item in items if isinstance(item, dict | list)]


def dump(value: Any) -> str:
    """Write JSON as it is stored and sent: compact, and valid UTF-8 whatever surrogates the input held."""
    return whole(_ENCODER.encode(value))


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def whole(value: str) -> str:
    """Return the text with lone surrogates replaced by U+FFFD."""
    if value.isascii():
        return value
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def text(value: Any) -> str:
    """Decode a string. A NUL raises :class:`NulError`."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Misfit("expected a text")
    if "\0" in value:
        raise NulError("invalid byte sequence: a text must not contain NUL")
    return whole(value)


def integer(value: Any) -> int:
    """Decode an integer of 64 bits; 5.0 is none."""
    if value is None:
        return 0
    if not isinstance(value, int) or isinstance(value, bool) or not -LARGEST <= value <= LARGEST:
        raise Misfit("expected an integer of 64 bits")
    return value


def boolean(value: Any) -> bool:
    """Decode true or false."""
    if value is None:
        return False
    if not isinstance(value, bool):
        raise Misfit("expected true or false")
    return value


def anything(value: Any) -> Any:
    """Decode any JSON value."""
    return value


def list_of(item: Decoder) -> Decoder:
    """Decode a list; missing stays None, which replies show as null."""

    def decode(value: Any) -> list[Any] | None:
        if value is None:
            return None
        if not isinstance(value, list):
            raise Misfit("expected a list")
        return [item(element) for element in value]

    return decode


def map_of(item: Decoder) -> Decoder:
    """Decode an object with free keys; missing stays None."""

    def decode(value: Any) -> dict[str, Any] | None:
        if value is None:
            return None
        if not isinstance(value, dict):
            raise Misfit("expected an object")
        return {text(key): item(element) for key, element in value.items()}

    return decode


def free_map(value: Any) -> dict[str, Any] | None:
    """Decode an object of any JSON, keys included."""
    if value is not None and not isinstance(value, dict):
        raise Misfit("expected an object")
    return value


def struct(**fields: Decoder) -> Decoder:
    """Decode an object with known fields into a dict that has exactly those."""
    names = fields.keys()

    def decode(value: Any) -> dict[str, Any]:
        if value is None:
            value = {}
        elif not isinstance(value, dict):
            raise Misfit("expected an object")
        elif not value.keys() <= names:
            value = {key.lower(): item for key, item in value.items()}
        return {name: field(value.get(name)) for name, field in fields.items()}

    return decode


def needed(item: Decoder) -> Decoder:
    """Decode an object that must be there."""

    def decode(value: Any) -> Any:
        if value is None:
            raise Misfit("missing")
        return item(value)

    return decode
