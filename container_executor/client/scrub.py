"""Makes values fit for the wire, or says which one cannot be sent.

The server's database refuses NUL characters, in some calls only after it has acted on them; Go turns lone surrogates into
U+FFFD and passes free JSON through 64-bit floats, so that integers above 2**53 lose digits.
"""

import math
from collections.abc import Mapping
from typing import Any

from container_executor.client.errors import UnsendableError

DEEPEST = 100
"""Levels of nesting that are sent, and accepted in answers."""

EXACT = 2**53
"""The largest integer that a 64-bit float holds exactly, with all below it."""

_LARGEST = 2**63 - 1


def text(value: str) -> str:
    """Return *value* without NUL characters, surrogate pairs joined and lone surrogates replaced by U+FFFD."""
    if value.isascii():
        return value.replace("\0", "")
    return value.replace("\0", "").encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def free_json(value: Any, path: str) -> Any:
    """Return JSON that a user made as it will arrive: integers must be exact in a 64-bit float.

    Raises:
        UnsendableError: As :func:`message`, and for integers beyond 2**53.
    """
    return _scrub(value, path, EXACT, DEEPEST)


def message(value: Any, path: str) -> Any:
    """Return *value* as plain dicts, lists, texts, numbers, booleans and None, all texts cleaned.

    Raises:
        UnsendableError: For NaN, infinities, integers beyond 64 bits, keys that are no texts, values that JSON does not
            have, and nesting deeper than :data:`DEEPEST`; the message begins with the value's path.
    """
    return _scrub(value, path, _LARGEST, DEEPEST)


def _scrub(value: Any, path: str, largest: int, depth: int) -> Any:
    if depth < 0:
        raise UnsendableError(f"{path[:200]}: nested deeper than {DEEPEST} levels")
    if isinstance(value, str):
        return text(value)
    if isinstance(value, Mapping):
        return {_key(key, path): _scrub(item, f"{path}.{key}", largest, depth - 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_scrub(item, f"{path}[{index}]", largest, depth - 1) for index, item in enumerate(value)]
    return _scalar(value, path, largest)


def _key(key: Any, path: str) -> str:
    if not isinstance(key, str):
        raise UnsendableError(f"{path}: the key {key!r} is no text; JSON has no other keys")
    return text(key)


def _scalar(value: Any, path: str, largest: int) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return _integer(int(value), path, largest)
    if isinstance(value, float):
        return _float(float(value), path)
    raise UnsendableError(f"{path}: JSON has no {type(value).__name__}; send a text, number, list or mapping")


def _integer(value: int, path: str, largest: int) -> int:
    if abs(value) > largest:
        raise UnsendableError(f"{path}: an integer beyond {largest} would lose digits; send it as a text")
    return value


def _float(value: float, path: str) -> float:
    if not math.isfinite(value):
        raise UnsendableError(f"{path}: JSON has no {value}; send null or a text")
    return value
