"""Finds backends by name: entry points of installed distributions, each imported only when it is opened."""

import builtins
import re
import secrets
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from inspect import cleandoc
from pathlib import Path
from types import MappingProxyType
from typing import Any, get_args

import attrs
import platformdirs

from container_executor.backend import Backend
from container_executor.errors import SettingsError
from container_executor.settings.convert import nearest, read

GROUP = "container_executor.backends"
"""The entry-point group that a distribution offers its backends in."""

FILLED = frozenset({"owner", "directory", "dev"})
"""Fields of a backend that the core fills; they are no settings."""


class MissingPackageError(SettingsError):
    """A backend's SDK is not installed; the text has the command that installs it."""


@attrs.frozen
class BackendSetting:
    """One setting of a backend, for people.

    Attributes:
        name: Its key below ``[backends.NAME]``.
        type: Its type in words of Python.
        default: Its default in words of Python; "" where it must be given.
        help: What it means.
    """

    name: str
    type: str
    default: str
    help: str


def names() -> tuple[str, ...]:
    """Return the names of all installed backends, sorted. Nothing is imported.

    Raises:
        SettingsError: Two distributions offer the same name.
    """
    return tuple(sorted(_offers()))


def load(name: str) -> builtins.type[Backend]:
    """Return the class of backend *name*, importing it.

    Raises:
        SettingsError: There is none, its SDK is not installed, or it is no backend; the text says what to do.
    """
    entry = _offer(name)
    loaded = _import(entry)
    if not (isinstance(loaded, type) and issubclass(loaded, Backend) and "__attrs_attrs__" in vars(loaded)):
        raise SettingsError(
            f"{entry.value} of {_distribution(entry)}, offered as backend {name}, is no backend: "
            "it must be an attrs class derived from container_executor.backend.Backend"
        )
    return loaded


def open_backend(
    name: str,
    *,
    owner: str = "",
    directory: Path | None = None,
    dev: bool = False,
    settings: Mapping[str, Any] = MappingProxyType({}),
    origins: Mapping[str, str] = MappingProxyType({}),
) -> Backend:
    """Return backend *name* with *settings* in its fields. It connects to nothing yet.

    Args:
        name: As ``--backend`` takes it.
        owner: Id that marks our jobs on the engine, at least 8 lowercase hex digits; a random one where none is given.
        directory: The backend's own directory, below the state directory; the user's own where none is given.
        dev: The backend may run jobs on this host without containers.
        settings: Its settings, as the site gave them.
        origins: By name of a setting, what gave it, for messages.

    Raises:
        SettingsError: No such backend, or one line for each setting that is unknown or wrong.
    """
    kind = load(name)
    place = directory or platformdirs.user_state_path("container-executor") / "library" / name
    filled = {"owner": owner or secrets.token_hex(8), "directory": place, "dev": dev}
    every = _fields(kind)
    values = _values(name, {key: field for key, field in every.items() if key not in FILLED}, settings, origins)
    values.update({key: value for key, value in filled.items() if key in every})
    try:
        return kind(**values)
    except (TypeError, ValueError) as error:
        raise SettingsError(f"[backends.{name}]: {error}") from None


def check_settings(
    name: str, settings: Mapping[str, Any], origins: Mapping[str, str] = MappingProxyType({})
) -> dict[str, Any]:
    """Return *settings* of backend *name* as the types of its fields, without opening it.

    Raises:
        SettingsError: No such backend, or one line for each setting that is unknown or wrong.
    """
    every = _fields(load(name))
    return _values(name, {key: field for key, field in every.items() if key not in FILLED}, settings, origins)


def source(name: str) -> str:
    """Return the distribution that backend *name* comes from, with its version.

    Raises:
        SettingsError: There is no such backend.
    """
    entry = _offer(name)
    return f"{_distribution(entry)} {entry.dist.version}" if entry.dist else _distribution(entry)


def settings_of(name: str) -> tuple[BackendSetting, ...]:
    """Return the settings of backend *name* in the order of its class.

    Raises:
        SettingsError: As :func:`load`.
    """
    kind = load(name)
    return tuple(_describe(field, kind.__doc__ or "") for key, field in _fields(kind).items() if key not in FILLED)


def _offer(name: str) -> EntryPoint:
    offers = _offers()
    if name not in offers:
        hint = nearest(name, list(offers)) or "."
        raise SettingsError(f"there is no backend {name!r}{hint} Installed: {', '.join(sorted(offers)) or 'none'}")
    return offers[name]


def _offers() -> dict[str, EntryPoint]:
    offers: dict[str, EntryPoint] = {}
    for entry in entry_points(group=GROUP):
        other = offers.setdefault(entry.name, entry)
        if _distribution(other) != _distribution(entry):
            pair = " and ".join(sorted([_distribution(other), _distribution(entry)]))
            raise SettingsError(f"{pair} both offer a backend named {entry.name}; uninstall one of them")
    return offers


def _distribution(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else "an unknown distribution"


def _import(entry: EntryPoint) -> object:
    try:
        return entry.load()
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing == entry.module.partition(".")[0]:
            raise SettingsError(
                f"{_distribution(entry)} offers backend {entry.name}, but has no {error.name}"
            ) from None
        raise MissingPackageError(
            f"the {entry.name} backend needs the Python package {missing}: {_install(entry)}"
        ) from None
    except (ImportError, AttributeError) as error:
        raise SettingsError(
            f"the {entry.name} backend of {_distribution(entry)} cannot be imported: {error}"
        ) from error


def _install(entry: EntryPoint) -> str:
    extras = entry.dist.metadata.get_all("Provides-Extra") if entry.dist else None
    if entry.name in (extras or ()):
        return f"pip install '{_distribution(entry)}[{entry.name}]'"
    return f"it should come with {_distribution(entry)}; install that again"


def _fields(kind: Any) -> dict[str, "attrs.Attribute[Any]"]:
    """Return what the class takes; a field with a leading underscore is its own affair."""
    resolved = attrs.resolve_types(kind)
    return {field.name: field for field in attrs.fields(resolved) if field.init and not field.name.startswith("_")}


def _values(
    name: str, fields: Mapping[str, "attrs.Attribute[Any]"], settings: Mapping[str, Any], origins: Mapping[str, str]
) -> dict[str, Any]:
    values, problems = {}, []
    for key, given in settings.items():
        where = f"{origins[key]}: " if key in origins else ""
        if key not in fields:
            problems.append(f"{where}[backends.{name}] has no setting {key}{nearest(key, list(fields))}")
            continue
        try:
            values[key] = read(fields[key], given)
        except ValueError as error:
            problems.append(f"{where}backends.{name}.{key}: {error}")
    missing = [key for key, field in fields.items() if field.default is attrs.NOTHING and key not in settings]
    problems.extend(f"backends.{name}.{key} is not set: set it below [backends.{name}]" for key in missing)
    if problems:
        raise SettingsError("\n".join(problems))
    return values


def _describe(field: "attrs.Attribute[Any]", documentation: str) -> BackendSetting:
    return BackendSetting(
        name=field.name,
        type=_type_name(field.type),
        default=_default(field.default),
        help=field.metadata.get("help") or _documented(field.name, documentation),
    )


def _documented(name: str, documentation: str) -> str:
    """Return what the section ``Attributes:`` of a docstring says about *name*, on one line."""
    attributes = cleandoc(documentation).partition("\nAttributes:\n")[2]
    found = re.search(rf"^    {name}: (.+(?:\n     +.+)*)", attributes, re.MULTILINE)
    return " ".join(found[1].split()) if found else ""


def _type_name(kind: Any) -> str:
    return kind.__name__ if isinstance(kind, type) and not get_args(kind) else str(kind).replace("typing.", "")


def _default(default: Any) -> str:
    if default is attrs.NOTHING:
        return ""
    return "computed" if hasattr(default, "takes_self") else repr(default)
