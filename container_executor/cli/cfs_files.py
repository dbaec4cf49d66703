"""Commands about single files of the file system: list, get, put, remove."""

from pathlib import Path

import click

from container_executor.cfs import CfsError, Syncer, Tree, normal_label
from container_executor.cfs.names import parts_below, why_refused
from container_executor.cfs.remote import RemoteFile, labels_below
from container_executor.cfs.remove import remove_files
from container_executor.cli.cfs_site import on_site, with_files
from container_executor.cli.output import note, write_json, write_table
from container_executor.cli.site import json_option
from container_executor.client import Client, FileEntry
from container_executor.settings import Settings
from container_executor.units import format_size

_SHORT = 12


@click.command()
@click.argument("label", default="/")
@json_option
@with_files
def ls(settings: Settings, label: str, *, as_json: bool, dev: bool) -> None:
    """List the files under LABEL, and the labels below it; without LABEL, all labels."""
    wanted = normal_label(label)

    def work(syncer: Syncer) -> tuple[list[str], list[FileEntry]]:
        labels = labels_below(syncer.client, wanted)
        return labels, syncer.client.from_thread(Client.files, wanted) if wanted in labels else []

    labels, files = on_site(settings, work, dev=dev)
    below = [name for name in labels if name != wanted]
    if not labels and wanted != "/":
        raise CfsError(f"nothing is stored under the label {wanted}")
    if as_json:
        described = [{"name": file.name, "size": file.size, "checksum": file.checksum} for file in files]
        write_json({"label": wanted, "files": described, "labels": below})
        return
    rows = [(name, "", "") for name in below]
    rows += [(file.name, format_size(file.size), file.checksum[:_SHORT]) for file in files]
    write_table(("NAME", "SIZE", "SHA-256"), rows)


@click.command()
@click.argument("path", metavar="LABEL/NAME")
@click.argument("destination", type=click.Path(path_type=Path), default=".")
@with_files
def get(settings: Settings, path: str, destination: Path, *, dev: bool) -> None:
    """Fetch one file to DESTINATION, a file or a directory. It is there whole and verified, or not at all."""
    label, name = _split(path)
    target = destination / name if destination.is_dir() else destination
    if reason := why_refused(target.name):
        raise CfsError(f"{path}: {reason}; name a file to write to")

    def work(syncer: Syncer) -> None:
        record = syncer.client.from_thread(Client.file, label, name)
        file = RemoteFile(target.name, record.size, record.checksum, record.object)
        syncer.fetch(Tree(target.resolve().parent), file)

    on_site(settings, work, dev=dev)
    click.echo(str(target))


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.argument("label")
@with_files
def put(settings: Settings, files: tuple[Path, ...], label: str, *, dev: bool) -> None:
    """Store files under LABEL, each as a new revision unless it is the same already."""
    wanted = normal_label(label)

    def work(syncer: Syncer) -> int:
        count = 0
        for file in files:
            count += syncer.store_file(Tree(file.resolve().parent), file.resolve().name, wanted)
        return count

    stored = on_site(settings, work, dev=dev)
    note(f"{stored} stored, {len(files) - stored} unchanged")


@click.command()
@click.argument("paths", metavar="LABEL/NAME...", nargs=-1, required=True)
@click.option("-r", "--recursive", is_flag=True, help="The arguments are labels: remove all below them.")
@click.option("--force", is_flag=True, help="Even what a snapshot holds, which is not whole any more afterwards.")
@with_files
def rm(settings: Settings, paths: tuple[str, ...], *, recursive: bool, force: bool, dev: bool) -> None:
    """Remove files from the colony: the records and contents of all their revisions. Directories are not touched."""

    def work(syncer: Syncer) -> int:
        wanted: list[tuple[str, str]] = []
        for path in paths:
            wanted += _below(syncer, normal_label(path)) if recursive else [_split(path)]
        return remove_files(syncer, wanted, force=force)

    note(f"{on_site(settings, work, dev=dev)} revisions removed")


def _below(syncer: Syncer, root: str) -> list[tuple[str, str]]:
    labels = [label for label in labels_below(syncer.client, root) if parts_below(label, root) is not None]
    if not labels:
        raise CfsError(f"nothing is stored under the label {root}")
    return [(label, file.name) for label in labels for file in syncer.client.from_thread(Client.files, label)]


def _split(path: str) -> tuple[str, str]:
    label, _, name = path.rpartition("/")
    if not name:
        raise click.UsageError(f"{path!r} names no file; write LABEL/NAME")
    return normal_label(label), name
