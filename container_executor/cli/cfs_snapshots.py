"""Commands about snapshots: the files of a label as they were at one moment."""

from pathlib import Path

import click

from container_executor.cfs import Plan, Policy, Progress, Side, Syncer, Tree, normal_label
from container_executor.cfs.snapshots import create_snapshot, snapshot_files
from container_executor.cli.cfs_progress import showing
from container_executor.cli.cfs_site import on_site, with_files
from container_executor.cli.output import note, show_time, write_json, write_table
from container_executor.cli.site import json_option
from container_executor.client import Client, Snapshot
from container_executor.settings import Settings


@click.group()
def snapshot() -> None:
    """Make, list, fetch and remove snapshots of labels."""


@snapshot.command()
@click.argument("label")
@click.argument("name")
@with_files
def create(settings: Settings, label: str, name: str, *, dev: bool) -> None:
    """Note under NAME which files LABEL and all below it hold now; print the id, for ``snapshotid`` in specs."""
    if ":" in name:
        raise click.UsageError(f"{name!r}: the name of a snapshot can have no colon")
    wanted = normal_label(label)
    made = on_site(settings, lambda syncer: create_snapshot(syncer.client, wanted, name), dev=dev)
    click.echo(made.id)
    note(f"{len(made.file_ids)} files")


@snapshot.command("ls")
@json_option
@with_files
def list_(settings: Settings, *, as_json: bool, dev: bool) -> None:
    """List the snapshots of the colony."""
    found: list[Snapshot] = on_site(settings, lambda syncer: syncer.client.from_thread(Client.snapshots), dev=dev)
    if as_json:
        write_json(found)
        return
    rows = [(item.name, item.label, str(len(item.file_ids)), show_time(item.added), item.id) for item in found]
    write_table(("NAME", "LABEL", "FILES", "MADE", "ID"), rows)


@snapshot.command("get")
@click.argument("name")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@with_files
def fetch(settings: Settings, name: str, folder: Path, *, dev: bool) -> None:
    """Fetch the files of the snapshot NAME into FOLDER; a file that differs there is replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    tree = Tree(folder.resolve())

    def work(syncer: Syncer) -> Plan:
        found = syncer.client.from_thread(Client.snapshot, name=name)
        remote = snapshot_files(syncer.client, found, syncer.stop)
        plan = syncer.compare(tree, remote, Policy.KEEP_REMOTE, sides=Side.DOWNLOAD | Side.CONFLICTS)
        with showing(progress := Progress()):
            syncer.apply(plan, tree, found.label or "/", progress)
        return plan

    plan = on_site(settings, work, dev=dev)
    note(f"{len(plan.to_download)} files fetched, {plan.unchanged} were there")


@snapshot.command("rm")
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@with_files
def remove(settings: Settings, names: tuple[str, ...], *, dev: bool) -> None:
    """Remove snapshots. The files stay."""

    def work(syncer: Syncer) -> None:
        for name in names:
            syncer.client.from_thread(Client.snapshot, name=name)  # one that is not there is a mistake of the user's
            syncer.client.from_thread(Client.remove_snapshot, name=name)

    on_site(settings, work, dev=dev)
