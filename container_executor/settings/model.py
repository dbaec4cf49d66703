"""All settings of one run as one value, and where each came from."""

import functools
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import attrs
import platformdirs

from container_executor.errors import SettingsError
from container_executor.settings.field import setting
from container_executor.settings.sections import (
    CfsSettings,
    ExecutorSettings,
    HardwareSettings,
    LimitSettings,
    LogFormat,
    ServerSettings,
    SoftwareSettings,
)

PREFIX = "CONTAINER_EXECUTOR_"
"""Begins the variables that are ours alone, so that an unknown one among them is a mistake."""

DEFAULT = "default"
"""The origin of a value that nobody set."""


def _state_dir() -> Path:
    if os.geteuid() == 0:
        return Path("/var/lib/container-executor")
    return platformdirs.user_state_path("container-executor")


@attrs.frozen(kw_only=True)
class Settings:
    """All settings of one run, and where each came from."""

    backend: str = setting("", "Name of the backend that runs the jobs; `container-executor backends` lists them.")
    state_dir: Path = setting(
        _state_dir,
        "Directory of the journal, the key and the spool; one daemon at a time. "
        "Not set: /var/lib/container-executor for root, else the user's state directory.",
    )
    verbose: bool = setting(False, "Log more, and show where an error came from.", env=["COLONIES_VERBOSE"])
    log_format: LogFormat = setting(
        LogFormat.AUTO, "Form of the daemon's own log; auto: console on a terminal, else json."
    )
    server: ServerSettings = attrs.field(factory=ServerSettings)
    executor: ExecutorSettings = attrs.field(factory=ExecutorSettings)
    hardware: HardwareSettings = attrs.field(factory=HardwareSettings)
    software: SoftwareSettings = attrs.field(factory=SoftwareSettings)
    limits: LimitSettings = attrs.field(factory=LimitSettings)
    cfs: CfsSettings = attrs.field(factory=CfsSettings)
    backends: Mapping[str, Mapping[str, Any]] = attrs.field(factory=dict, repr=False)
    """The settings of each backend by its name, as they were given; its class checks them when it is opened."""
    origins: Mapping[str, str] = attrs.field(default=MappingProxyType({}), eq=False, repr=False)
    """By path: the flag, variable, or file and line that set it. See :meth:`origin`."""
    warnings: tuple[str, ...] = attrs.field(default=(), eq=False, repr=False)
    """What was given but has no effect, one sentence each."""

    def origin(self, path: str) -> str:
        """Return what set the setting at *path*: a flag, a variable, a file and line, or ``default``."""
        return self.origins.get(path, DEFAULT)

    def backend_origins(self, name: str) -> dict[str, str]:
        """Return what set each setting of backend *name*, by its key in the backend's table."""
        return {key: self.origin(f"backends.{name}.{key}") for key in self.backends.get(name, {})}

    def value(self, path: str) -> Any:
        """Return the value of the setting at *path*, such as ``server.host``.

        Raises:
            KeyError: There is no such setting.
        """
        section, _, name = path.rpartition(".")
        holder = getattr(self, section, None) if section else self
        if path not in fields() or holder is None:
            raise KeyError(path)
        return getattr(holder, name)

    def require(self, *paths: str) -> None:
        """Check that each of *paths* has a value.

        Raises:
            SettingsError: Some have none; the text names every way to set each.
        """
        missing = [_how_to_set(path) for path in paths if not self.value(path)]
        if missing:
            raise SettingsError("\n".join(missing))


def _how_to_set(path: str) -> str:
    names = " or ".join(variables(path))
    section, _, name = path.rpartition(".")
    table = f"[{section}] {name}" if section else name
    return f"{path} is not set: set {names}, or {table} in the configuration file"


@functools.cache
def fields() -> Mapping[str, "attrs.Attribute[Any]"]:
    """Return every setting of the core by its path, in the order of the documentation."""
    found: dict[str, attrs.Attribute[Any]] = {}
    for field in attrs.fields(Settings):
        if "help" in field.metadata:
            found[field.name] = field
    for section, kind in sections().items():
        found.update({f"{section}.{inner.name}": inner for inner in attrs.fields(kind)})
    return found


def sections() -> dict[str, Any]:
    """Return the class of each section by its name."""
    return {field.name: field.type for field in attrs.fields(Settings) if field.type and attrs.has(field.type)}


def variables(path: str) -> tuple[str, ...]:
    """Return the variables that set the setting at *path*, the one that wins first."""
    own = PREFIX + path.upper().replace(".", "_")
    return (own, *fields()[path].metadata["env"])
