"""The command that shows the settings, and checks them."""

from collections.abc import Iterator
from typing import Any

import click

from container_executor.cli.config_problems import backend_values, problems_of
from container_executor.cli.output import note, plain, warn, write_json, write_table
from container_executor.cli.site import backend_option, json_option, state_dir_option, with_examined
from container_executor.errors import SettingsError
from container_executor.settings import DEFAULT, Examined, Settings, fields

Row = tuple[str, Any, str]


@click.command()
@click.argument("action", type=click.Choice(["show", "check"]), default="show")
@click.option("--changed", is_flag=True, help="Only what is not at its default.")
@backend_option
@state_dir_option
@json_option
@with_examined
def config(found: Examined, *, action: str, changed: bool, as_json: bool) -> None:
    """Show every setting, its value, and what set it.

    Everything is checked, the settings of each backend and the form of keys too; what is wrong is listed, and the exit code
    is 78. With `check`, what is right is shown all the same.
    """
    problems = [*found.problems, *problems_of(found.settings)]
    for warning in found.settings.warnings:
        warn(warning)
    if problems and action == "show":
        raise SettingsError("\n".join(problems))
    rows = [row for row in _rows(found.settings) if not changed or row[2] != DEFAULT]
    if as_json:
        _write_json(rows, problems, check=action == "check")
    else:
        write_table(("SETTING", "VALUE", "SET BY"), [(path, _show(value), origin) for path, value, origin in rows])
    if action == "check":
        _conclude(found, problems)


def _write_json(rows: list[Row], problems: list[str], *, check: bool) -> None:
    settings = {path: {"value": value, "source": origin} for path, value, origin in rows}
    write_json({"settings": settings, "problems": problems} if check else settings)


def _conclude(found: Examined, problems: list[str]) -> None:
    """Say what is wrong, and end with the exit code that stands for it."""
    place = f"file: {found.file}" if found.file else "no configuration file"
    if not problems:
        note(f"no problem found; {place}")
        return
    note(f"problems: {len(problems)}; {place}")
    raise SettingsError("\n".join(problems))


def _rows(settings: Settings) -> list[Row]:
    rows: list[Row] = [(path, plain(settings.value(path)), settings.origin(path)) for path in fields()]
    for name in settings.backends:
        rows += _backend_rows(name, settings)
    return rows


def _backend_rows(name: str, settings: Settings) -> Iterator[Row]:
    """Yield what is right of the settings of a backend; nothing where they cannot be read at all."""
    origins = settings.backend_origins(name)
    try:
        values = backend_values(settings, name)
    except SettingsError:
        return
    for key, value in values.items():
        yield f"backends.{name}.{key}", plain(value), origins[key]


def _show(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(value) if isinstance(value, list) else str(value)
