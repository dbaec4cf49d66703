"""Loads the settings: asks every source, lets one function decide what counts, and checks the result as a whole."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import attrs
import platformdirs

from container_executor.errors import SettingsError
from container_executor.secret import Secret
from container_executor.settings.convert import read
from container_executor.settings.model import Settings, fields, sections
from container_executor.settings.sources import CONFIG_VARIABLE, Given, choose, from_environment, from_file, from_flags

_FILE_NAME = "container-executor/config.toml"


def load(
    *,
    file: Path | None = None,
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, Any] = MappingProxyType({}),
) -> Settings:
    """Return the settings: flags win over the environment, the environment over the file, all over the defaults.

    Args:
        file: The configuration file; None takes the one that CONTAINER_EXECUTOR_CONFIG names, else the first of
            ``config.toml`` below the user's configuration directory and ``/etc/container-executor`` that is there.
        environ: The variables; None takes those of this program.
        flags: By path. A text is read as the setting's type; None means that the flag was not given.

    Raises:
        SettingsError: One line for each thing that is wrong, with the file and line, the variable or the flag.
    """
    found = examine(file=file, environ=environ, flags=flags)
    if found.problems:
        raise SettingsError("\n".join(found.problems))
    return found.settings


@attrs.frozen
class Examined:
    """What all sources together say, right or wrong.

    Attributes:
        settings: What is right of it; a setting that is given wrongly is at its default.
        problems: One line for each thing that is wrong, as :func:`load` raises them.
        file: The configuration file that counts, None where there is none.
    """

    settings: Settings
    problems: tuple[str, ...]
    file: Path | None


def examine(
    *,
    file: Path | None = None,
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, Any] = MappingProxyType({}),
) -> Examined:
    """Return the settings and everything that is wrong with them; the arguments are those of :func:`load`."""
    environ = os.environ if environ is None else environ
    problems: list[str] = []
    warnings: list[str] = []
    path = file or find_file(environ)
    given = [
        *from_flags(flags, problems),
        *from_environment(environ, problems, warnings),
        *(_from_file(path, problems) if path else ()),
    ]
    chosen = choose(given)
    chosen.update(_secret_files(chosen, problems))
    settings = _build(chosen, problems)
    return Examined(attrs.evolve(settings, warnings=tuple(warnings)), tuple(problems), path)


def _from_file(path: Path, problems: list[str]) -> list[Given]:
    try:
        return from_file(path, problems)
    except SettingsError as error:
        problems.append(str(error))
        return []


def find_file(environ: Mapping[str, str]) -> Path | None:
    """Return the configuration file that is used when no flag names one, or None where there is none."""
    named = environ.get(CONFIG_VARIABLE)
    if named:
        return Path(named)
    places = (platformdirs.user_config_path() / _FILE_NAME, Path("/etc") / _FILE_NAME)
    return next((place for place in places if place.is_file()), None)


def _build(chosen: Mapping[str, Given], problems: list[str]) -> Settings:
    values = dict(_converted(chosen, problems))
    inner = {section: kind(**_below(section, values)) for section, kind in sections().items()}
    plain = {path: item for path, item in values.items() if "." not in path}
    counted = {path for path in chosen if path in values or path.startswith("backends.")}
    origins = MappingProxyType({path: item.origin for path, item in chosen.items() if path in counted})
    return Settings(**plain, **inner, backends=_backends(chosen), origins=origins)


def _below(section: str, values: Mapping[str, Any]) -> dict[str, Any]:
    prefix = f"{section}."
    return {path.removeprefix(prefix): value for path, value in values.items() if path.startswith(prefix)}


def _converted(chosen: Mapping[str, Given], problems: list[str]) -> Iterator[tuple[str, Any]]:
    for path, field in fields().items():
        item = chosen.get(path)
        if item is None:
            continue
        try:
            yield path, read(field, item.value)
        except ValueError as error:
            problems.append(f"{item.origin}: {path}: {error}")


def _backends(chosen: Mapping[str, Given]) -> Mapping[str, Mapping[str, Any]]:
    tables: dict[str, dict[str, Any]] = {}
    for path, item in chosen.items():
        if path.startswith("backends."):
            _, name, setting = path.split(".", 2)
            tables.setdefault(name, {})[setting] = item.value
    return MappingProxyType({name: MappingProxyType(table) for name, table in tables.items()})


def _secret_files(chosen: Mapping[str, Given], problems: list[str]) -> Iterator[tuple[str, Given]]:
    for path, field in fields().items():
        file, itself = chosen.get(f"{path}_file"), chosen.get(path)
        if field.type != Secret | None or file is None or (itself and itself.source < file.source):
            continue
        if itself and itself.source == file.source:
            problems.append(f"{file.origin}: {path}_file and {path} are both given; keep one")
            continue
        try:
            yield path, _read_secret(file)
        except ValueError as error:
            problems.append(f"{file.origin}: {path}_file: {error}")


def _read_secret(given: Given) -> Given:
    file = Path(str(given.value)).expanduser()
    try:
        text = file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ValueError(f"cannot read {file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{file} is not a text") from None
    if not text:
        raise ValueError(f"{file} is empty")
    return attrs.evolve(given, path=given.path.removesuffix("_file"), value=Secret(text), origin=str(file))
