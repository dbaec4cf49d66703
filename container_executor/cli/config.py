"""The command that shows the settings."""

from typing import Any

import click

from container_executor.cli.output import plain, write_json, write_table
from container_executor.cli.site import backend_option, json_option, state_dir_option, with_settings
from container_executor.registry import check_settings
from container_executor.settings import DEFAULT, Settings, fields


@click.command()
@click.option("--changed", is_flag=True, help="Only what is not at its default.")
@backend_option
@state_dir_option
@json_option
@with_settings
def config(settings: Settings, *, changed: bool, as_json: bool) -> None:
    """Show every setting, its value, and what set it.

    Everything is checked, the settings of each backend too; what is wrong is listed, and the exit code is 78.
    """
    rows = [(path, plain(settings.value(path)), settings.origin(path)) for path in fields()]
    for name in settings.backends:
        rows += _backend_rows(name, settings)
    if settings.backend and settings.backend not in settings.backends:
        check_settings(settings.backend, {})
    shown = [row for row in rows if not changed or row[2] != DEFAULT]
    if as_json:
        write_json({path: {"value": value, "source": origin} for path, value, origin in shown})
    else:
        write_table(("SETTING", "VALUE", "SET BY"), [(path, _show(value), origin) for path, value, origin in shown])


def _backend_rows(name: str, settings: Settings) -> list[tuple[str, Any, str]]:
    origins = settings.backend_origins(name)
    values = check_settings(name, settings.backends[name], origins)
    return [(f"backends.{name}.{key}", plain(value), origins[key]) for key, value in values.items()]


def _show(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(value) if isinstance(value, list) else str(value)
