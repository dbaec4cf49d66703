"""Where settings are given: a TOML file, variables, flags. Each source says what it was given, by path and with its origin."""

import enum
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

from container_executor.errors import SettingsError
from container_executor.settings.convert import Text, nearest
from container_executor.settings.model import PREFIX, fields, sections, variables

BACKEND_VARIABLES: Mapping[str, str] = {
    "EXECUTOR_K8S_NAMESPACE": "backends.kube.namespace",
    "EXECUTOR_K8S_PVC": "backends.kube.pvc",
    "EXECUTOR_IMAGE_DIR": "backends.slurm.image_cache",
    "EXECUTOR_ROCM": "backends.slurm.rocm",
    "GRES": "backends.slurm.gres",
    "SLURM_ACCOUNT": "backends.slurm.account",
    "SLURM_MODULE": "backends.slurm.modules",
    "SLURM_PARTITION": "backends.slurm.partition",
}
"""Variables of older executors that set something of one backend."""

WITHOUT_EFFECT: Mapping[str, str] = {
    "COLONIES_EXECUTOR_ID": "the id follows from the key",
    "COLONIES_SERVER_PRVKEY": "nothing here makes or removes colonies",
    "EXECUTOR_ADD_DEBUG_LOGS": "the process log always says which backend, node and attempt it is",
    "EXECUTOR_DEVMODE": "resources are always asked for",
    "EXECUTOR_GPU": "jobs get the GPUs that they ask for",
    "EXECUTOR_HOME_DIR": "jobs have a home of their own",
    "EXECUTOR_K8S_NAME": "nothing needs the name of our own deployment",
    "EXECUTOR_K8S_POD_NAME": "nothing needs the name of our own pod",
    "EXECUTOR_K8S_POD_UID": "nothing needs the id of our own pod",
    "EXECUTOR_LOCATION_DESC": "servers since 1.9.6 know locations by name only; set executor.location",
    "EXECUTOR_LOCATION_LAT": "servers since 1.9.6 know locations by name only; set executor.location",
    "EXECUTOR_LOCATION_LONG": "servers since 1.9.6 know locations by name only; set executor.location",
    "EXECUTOR_LOG_DIR": "logs are below the state directory",
}
"""Variables of older executors and of the official command line that are accepted and mean nothing here, and why."""

COMMAND_LINE = "the command line"
"""The origin of a value that a flag gave."""
CONFIG_VARIABLE = PREFIX + "CONFIG"
_SHARED_PREFIXES = ("COLONIES_", "EXECUTOR_", "AWS_S3_")
_BACKEND_PREFIX = PREFIX + "BACKENDS_"

_HEADER = re.compile(r"\s*\[\[?\s*([^\[\]]+?)\s*\]\]?\s*(?:#.*)?")
_KEY = re.compile(r"\s*([A-Za-z0-9_\-.\"' ]+?)\s*=")


class Source(enum.IntEnum):
    """The sources in order of precedence, the strongest first."""

    FLAG = 0
    ENVIRONMENT = 1
    FILE = 2


@attrs.frozen
class Given:
    """One setting as one source gives it.

    Attributes:
        path: Such as ``server.host``.
        value: As the source has it.
        source: Which one.
        origin: The flag, the variable, or the file and line, for people.
    """

    path: str
    value: Any = attrs.field(repr=False)
    source: Source
    origin: str


def choose(given: Iterable[Given]) -> dict[str, Given]:
    """Return what counts for each path: flags win over the environment, that over the file, all over defaults.

    Within one source the first counts.
    """
    chosen: dict[str, Given] = {}
    for item in sorted(given, key=lambda item: item.source):
        chosen.setdefault(item.path, item)
    return chosen


def from_file(file: Path, problems: list[str]) -> list[Given]:
    """Return what *file* gives; unknown keys go to *problems*.

    Raises:
        SettingsError: It cannot be read or is not TOML.
    """
    import tomllib  # noqa: PLC0415 - many have no file

    text = _read(file)
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{file} is not TOML: {error}") from None
    found = []
    for path, value in _flatten(document):
        origin = f"{file}:{_line(text, path)}"
        problem = unknown(path)
        if problem:
            problems.append(f"{origin}: {problem}")
        else:
            found.append(Given(path, value, Source.FILE, origin))
    return found


def from_environment(environ: Mapping[str, str], problems: list[str], warnings: list[str]) -> list[Given]:
    """Return what the variables give; an empty one gives nothing. Unknown ones of ours go to *problems*."""
    names = known_variables()
    set_ones = {name: value for name, value in environ.items() if value != ""}
    found = [
        Given(path, Text(set_ones[name]), Source.ENVIRONMENT, name)
        for name, paths in names.items()
        if name in set_ones
        for path in paths
    ]
    for name, value in set_ones.items():
        if name in WITHOUT_EFFECT:
            warnings.append(f"{name} has no effect: {WITHOUT_EFFECT[name]}")
        elif name.startswith(_BACKEND_PREFIX):
            found.append(Given(_backend_path(name), Text(value), Source.ENVIRONMENT, name))
        elif name.startswith(PREFIX) and name not in names and name != CONFIG_VARIABLE:
            problems.append(f"{name}: there is no such setting{nearest(name, list(names))}")
        elif name.startswith(_SHARED_PREFIXES) and name not in names and nearest(name, list(names), cutoff=0.9):
            warnings.append(f"{name} has no effect{nearest(name, list(names))}")
    warnings.extend(_shadowed(found))
    return found


def from_flags(flags: Mapping[str, Any], problems: list[str]) -> list[Given]:
    """Return what flags give, by path; None is a flag that was not given. Secrets are refused: others can read them."""
    found = []
    for path, value in flags.items():
        if value is None:
            continue
        problem = unknown(path) or _is_secret(path)
        if problem:
            problems.append(f"--option {path}: {problem}")
        else:
            found.append(Given(path, Text(value) if isinstance(value, str) else value, Source.FLAG, COMMAND_LINE))
    return found


def known_variables() -> dict[str, list[str]]:
    """Return every variable with the paths that it sets, each path's strongest variable first."""
    names: dict[str, list[str]] = {}
    for path in fields():
        for name in variables(path):
            names.setdefault(name, []).append(path)
    for name, path in BACKEND_VARIABLES.items():
        names.setdefault(name, []).append(path)
    return names


def unknown(path: str) -> str:
    """Return what is wrong with *path* as the path of a setting, or "" where it is one."""
    if path in fields() or (path.startswith("backends.") and path.count(".") >= 2):
        return ""
    section, _, name = path.rpartition(".")
    if section in sections():
        valid = [known.partition(".")[2] for known in fields() if known.startswith(f"{section}.")]
        near = nearest(name, valid) or "; it has " + ", ".join(valid)
        return f"[{section}] has no setting {name}{near}"
    if path in {*sections(), "backends"} or section == "backends":
        return f"{path} is a table: write [{path}]"
    if section:
        tables = [f"[{table}]" for table in (*sections(), "backends")]
        return f"there is no table [{section}]{nearest(f'[{section}]', tables)}"
    return f"there is no setting {path}{nearest(path, [name for name in fields() if '.' not in name])}"


def _is_secret(path: str) -> str:
    name = path.rpartition(".")[2]
    if f"{path}_file" in fields():
        return f"a secret on the command line can be read by everyone on this machine; use {name}_file or a variable"
    return ""


def _backend_path(name: str) -> str:
    backend, _, setting_name = name.removeprefix(_BACKEND_PREFIX).lower().partition("_")
    return f"backends.{backend}.{setting_name}"


def _shadowed(found: Iterable[Given]) -> Iterator[str]:
    first: dict[str, Given] = {}
    for item in found:
        winner = first.setdefault(item.path, item)
        if winner.value != item.value:
            yield f"{item.origin} has no effect on {item.path}: {winner.origin} is set too, to something else"


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"{file}: cannot read it: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{file} is not UTF-8 text") from None


def _flatten(document: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in document.items():
        if name == "backends" and isinstance(value, dict):
            yield from _flatten_backends(value)
        elif isinstance(value, dict) and name not in fields():
            yield from ((f"{name}.{inner}", item) for inner, item in value.items())
        else:
            yield name, value


def _flatten_backends(tables: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, table in tables.items():
        if not isinstance(table, dict):
            yield f"backends.{name}", table
            continue
        yield from ((f"backends.{name}.{inner}", item) for inner, item in table.items())


def _line(text: str, path: str) -> int:
    """Return the line of *text* that sets *path*, or that opens the nearest table around it; 1 where none is found.

    tomllib keeps no positions; a line that only looks like the key, inside a text of several lines, may be taken for it.
    """
    table, best, nearest_depth = "", 1, 0
    for number, line in enumerate(text.splitlines(), 1):
        header = _HEADER.fullmatch(line)
        key = None if header else _KEY.match(line)
        if header:
            table = _plain(header[1])
        elif key is None:
            continue
        here = _plain(key[1] if not table else f"{table}.{key[1]}") if key else table
        if here == path:
            return number
        if path.startswith(f"{here}.") and len(here) > nearest_depth:
            best, nearest_depth = number, len(here)
    return best


def _plain(key: str) -> str:
    return ".".join(part.strip().strip("\"'") for part in key.split("."))
