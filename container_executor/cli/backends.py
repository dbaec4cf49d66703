"""The command that lists backends and their settings."""

import click

from container_executor.cli.output import write_json, write_table
from container_executor.cli.site import json_option
from container_executor.registry import names, settings_of, source


@click.command()
@click.argument("name", required=False)
@json_option
def backends(name: str | None, *, as_json: bool) -> None:
    """List the installed backends, or the settings of one."""
    if name is None:
        rows = [(each, source(each)) for each in names()]
        if as_json:
            write_json([{"name": each, "distribution": distribution} for each, distribution in rows])
        else:
            write_table(("NAME", "FROM"), rows)
        return
    found = settings_of(name)
    if as_json:
        write_json(found)
    else:
        write_table(
            (f"SETTING IN [backends.{name}]", "TYPE", "DEFAULT", "MEANING"),
            [(each.name, each.type, each.default or "must be set", each.help) for each in found],
        )
