"""Turns what a file, a variable or a flag says into the type that a setting has."""

import enum
import json
import re
import types
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Union, get_args, get_origin

import attrs

from container_executor.secret import Secret

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s?(ms|s|min|m|h|d|)")
_SECONDS = {"ms": 0.001, "": 1, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
_TRUE = frozenset({"true", "yes", "on", "1"})
_FALSE = frozenset({"false", "no", "off", "0"})


class Text(str):
    """A value from where everything is text, a variable or a flag: ``5`` may mean a number."""

    __slots__ = ()


def read(field: "attrs.Attribute[Any]", value: object) -> Any:
    """Return *value* as the setting *field* holds it, checked by the field's own validator.

    Raises:
        ValueError: It cannot be; the message says what is expected.
    """
    parse = field.metadata.get("parse")
    by_text = parse is not None and isinstance(value, str)
    result = field.metadata["parse"](str(value)) if by_text else convert(value, field.type)
    _check(field, result)
    return result


def convert(value: object, kind: Any) -> Any:
    """Return *value* as type *kind*.

    Known are bool, int, float, str, Path, timedelta, Secret, enumerations, tuples, lists, mappings, attrs classes,
    unions of one of these with None, and Any.

    Raises:
        ValueError: It cannot be; the message says what is expected.
    """
    origin = get_origin(kind)
    if kind in (Any, None, object):
        return str(value) if isinstance(value, Text) else value
    if origin in (Union, types.UnionType):
        return _optional(value, get_args(kind))
    if origin in (tuple, list, Sequence, frozenset):
        return _list(value, origin, get_args(kind)[0])
    if origin in (dict, Mapping):
        return _mapping(value, get_args(kind)[1])
    return _single(value, kind)


def parse_duration(text: str) -> timedelta:
    """Parse ``30``, ``30s``, ``1.5h``, ``7d`` or ``500ms``; a number alone is seconds.

    Raises:
        ValueError: It is none of these.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{_cut(text)} is no duration; write 30s, 10m, 2h or 7d")
    try:
        return timedelta(seconds=float(match[1]) * _SECONDS[match[2]])
    except OverflowError:
        raise ValueError(f"{_cut(text)} is too long") from None


def nearest(name: str, valid: Sequence[str], *, cutoff: float = 0.6) -> str:
    """Return words that name the one of *valid* that *name* may have meant, or "" where none is near."""
    from difflib import get_close_matches  # noqa: PLC0415 - only mistakes need it

    found = get_close_matches(name, valid, n=1, cutoff=cutoff)
    return f"; did you mean {found[0]}?" if found else ""


def _check(field: "attrs.Attribute[Any]", value: Any) -> None:
    try:
        if field.validator is not None:
            field.validator(None, field, value)
    except (ValueError, TypeError) as error:
        raise ValueError(str(error.args[0]).replace(f"'{field.name}' ", "")) from None


def _optional(value: object, kinds: Sequence[Any]) -> Any:
    if value is None:
        return None
    return convert(value, next(kind for kind in kinds if kind is not types.NoneType))


def _list(value: object, origin: Any, kind: Any) -> Any:
    if isinstance(value, Text):
        items: list[object] = [Text(part.strip()) for part in value.split(",") if part.strip()]
    elif isinstance(value, list | tuple):
        items = list(value)
    else:
        raise ValueError(f"{_show(value)} is no list")
    make = tuple if origin in (tuple, Sequence) else origin
    return make(convert(item, kind) for item in items)


def _mapping(value: object, kind: Any) -> dict[str, Any]:
    if isinstance(value, Text):
        value = _json_object(value)
    if not isinstance(value, Mapping):
        raise ValueError(f"{_show(value)} is no table")
    return {str(key): convert(item, kind) for key, item in value.items()}


def _json_object(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError(f"{_cut(text)} is no JSON object") from None


def _single(value: object, kind: Any) -> Any:
    if attrs.has(kind):
        return _structure(value, kind)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return _enum(value, kind)
    if kind in _READERS:
        return _READERS[kind](value)
    raise TypeError(f"no setting can have the type {kind!r}")


def _structure(value: object, kind: Any) -> Any:
    table = _mapping(value, Any)
    fields = {field.name: field for field in attrs.fields(kind) if field.init}
    for name in table:
        if name not in fields:
            raise ValueError(f"there is no {name}{nearest(name, list(fields))}")
    missing = [name for name, field in fields.items() if field.default is attrs.NOTHING and name not in table]
    if missing:
        raise ValueError(f"{missing[0]} is missing")
    return kind(**{name: _within(name, fields[name], item) for name, item in table.items()})


def _within(name: str, field: "attrs.Attribute[Any]", value: object) -> Any:
    try:
        return read(field, value)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def _enum(value: object, kind: type[enum.Enum]) -> enum.Enum:
    try:
        return kind(str(value) if isinstance(value, str) else value)
    except ValueError:
        words = " or ".join(str(member.value) for member in kind)
        raise ValueError(f"{_show(value)} is not {words}") from None


def _bool(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, Text) and value.strip().lower() in _TRUE | _FALSE:
        return value.strip().lower() in _TRUE
    raise ValueError(f"{_show(value)} is neither true nor false")


def _int(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, Text) and re.fullmatch(r"[+-]?[0-9]{1,19}", value.strip()):
        return int(value)
    raise ValueError(f"{_show(value)} is no whole number")


def _float(value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, Text) and re.fullmatch(r"[+-]?[0-9.]{1,30}(?:e[+-]?[0-9]{1,2})?", value.strip()):
        return _float_text(value)
    raise ValueError(f"{_show(value)} is no number")


def _float_text(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{_cut(text)} is no number") from None


def _str(value: object) -> str:
    if isinstance(value, str):
        return str(value)
    raise ValueError(f"{_show(value)} is no text")


def _path(value: object) -> Path:
    if isinstance(value, Path):
        return value
    return Path(_str(value)).expanduser()


def _duration(value: object) -> timedelta:
    if isinstance(value, timedelta):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return parse_duration(str(value))
    return parse_duration(_str(value))


def _secret(value: object) -> Secret:
    if isinstance(value, Secret):
        return value
    if isinstance(value, str):
        return Secret(str(value).strip())
    raise ValueError("a secret is a text")


_READERS: dict[Any, Callable[[object], Any]] = {
    bool: _bool,
    int: _int,
    float: _float,
    str: _str,
    Path: _path,
    timedelta: _duration,
    Secret: _secret,
}


def _show(value: object) -> str:
    return _cut(value) if isinstance(value, str) else _cut(json.dumps(value, default=str), quote=False)


def _cut(text: str, *, quote: bool = True) -> str:
    short = text if len(text) <= 40 else text[:40] + "..."
    return repr(str(short)) if quote else short
