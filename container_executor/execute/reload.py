"""Which settings of a running daemon take effect when its configuration is read again."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import attrs

from container_executor.settings import Settings

TAKEN_OVER: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "executor": (
            "parallel", "cpu", "memory", "gpus", "drain", "admission_timeout", "pending_timeout", "launches", "log_cap",
        ),
        "server": ("key", "key_file", "colony_key", "colony_key_file"),
        "cfs": ("access_key", "access_key_file", "secret_key", "secret_key_file"),
    },
)  # fmt: skip
"""By section: settings that the next process or call meets. All of ``[limits]`` do, ``verbose`` and ``log_format``."""


@attrs.frozen
class Reloaded:
    """What became of a new configuration.

    Attributes:
        settings: The settings from now on.
        changed: Paths of those that took effect.
        later: Paths of those that need a restart.
    """

    settings: Settings
    changed: tuple[str, ...]
    later: tuple[str, ...]


def reload(old: Settings, new: Settings) -> Reloaded:
    """Return *old* with everything of *new* that a running daemon can take over."""
    sections = {name: _taken(getattr(old, name), getattr(new, name), fields) for name, fields in TAKEN_OVER.items()}
    settings = attrs.evolve(old, **sections, limits=new.limits, verbose=new.verbose, log_format=new.log_format)
    return Reloaded(settings, _differing(old, settings), _differing(settings, new))


def _taken(old: Any, new: Any, fields: Sequence[str]) -> Any:
    return attrs.evolve(old, **{field: getattr(new, field) for field in fields})


def _differing(one: Settings, other: Settings) -> tuple[str, ...]:
    first, second = _flat(one), _flat(other)
    return tuple(sorted(path for path in first.keys() | second.keys() if first.get(path) != second.get(path)))


def _flat(settings: Settings) -> Mapping[str, Any]:
    found: dict[str, Any] = {}
    for field in attrs.fields(Settings):
        value = getattr(settings, field.name)
        if attrs.has(type(value)):
            found.update(
                {f"{field.name}.{inner.name}": getattr(value, inner.name) for inner in attrs.fields(type(value))}
            )
        elif field.eq:
            found[field.name] = value
    backends: Mapping[str, Mapping[str, Any]] = found.pop("backends", MappingProxyType({}))
    found.update({f"backends.{name}": dict(values) for name, values in backends.items()})
    return found
