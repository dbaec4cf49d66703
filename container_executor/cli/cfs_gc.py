"""The command that removes contents which no record names."""

import click

from container_executor.cfs import Syncer
from container_executor.cfs.remove import Orphan, find_orphans
from container_executor.cli.cfs_site import on_site, with_files
from container_executor.cli.output import note, write_json, write_table
from container_executor.cli.site import json_option
from container_executor.settings import Settings
from container_executor.units import format_size


@click.command()
@click.option("--delete", is_flag=True, help="Remove them; without it they are only listed.")
@json_option
@with_files
def gc(settings: Settings, *, delete: bool, as_json: bool, dev: bool) -> None:
    """List, or remove, contents in the object store that no record names.

    An upload that was cut off leaves one. Only contents are looked at that this program stored for this colony more than a day ago;
    those of other colonies in the same store are left alone, whatever their names and their servers.
    """

    def work(syncer: Syncer) -> list[Orphan]:
        found = find_orphans(syncer)
        if delete:
            syncer.store.delete([orphan.key for orphan in found])
        return found

    found = on_site(settings, work, dev=dev)
    if as_json:
        write_json(found)
    elif found:
        write_table(("OBJECT", "SIZE"), [(orphan.key, format_size(orphan.size)) for orphan in found])
    size = format_size(sum(orphan.size for orphan in found))
    note(f"{len(found)} objects, {size}{' removed' if delete else '; remove them with --delete'}")
