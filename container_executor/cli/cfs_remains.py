"""The command of a site's operator about results that were stored nowhere."""

from contextlib import closing
from typing import TYPE_CHECKING

import click

from container_executor.cli.output import note, write_json, write_table
from container_executor.cli.site import json_option, state_dir_option, with_settings
from container_executor.settings import Settings
from container_executor.units import format_size

if TYPE_CHECKING:
    from container_executor.execute.staging.remains import Remains


@click.command()
@click.option("--delete", is_flag=True, help="Remove them for good; without it they are only listed.")
@state_dir_option
@json_option
@with_settings
def remains(settings: Settings, *, delete: bool, as_json: bool) -> None:
    """List, or remove, what jobs left in directories of this site and what may be stored nowhere else.

    Such files stay when results cannot be stored, or a process is cancelled. The daemon of the state directory must not run.
    """
    from container_executor.cfs import Tree  # noqa: PLC0415 - the other commands of the group need no daemon
    from container_executor.execute.journal import Journal  # noqa: PLC0415
    from container_executor.execute.staging.kept import Register, register_of  # noqa: PLC0415
    from container_executor.execute.staging.remains import discard, find_remains  # noqa: PLC0415
    from container_executor.execute.staging.shared import site_directory  # noqa: PLC0415

    base = Tree(site_directory(settings))
    with Journal(settings.state_dir) as journal, closing(Register(register_of(settings.state_dir))) as register:
        found = find_remains(base, register, journal)
        for item in found if delete else ():
            discard(base, register, item)
    if as_json:
        write_json([_described(item) for item in found])
    elif found:
        write_table(("DIRECTORY", "LABEL", "FILES", "SIZE"), [_row(item) for item in found])
    note(f"{len(found)} directories{' removed' if delete else '; remove them with --delete'}")


def _described(item: "Remains") -> dict[str, object]:
    return {"path": item.path, "label": item.label, "files": item.files, "size": item.size}


def _row(item: "Remains") -> tuple[str, ...]:
    return item.path, item.label, str(item.files), format_size(item.size)
