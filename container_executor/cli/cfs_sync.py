"""The command that brings a directory and a label together."""

import json
from pathlib import Path

import click

from container_executor.cfs import CfsError, Plan, Policy, Progress, Syncer, Tree, normal_label
from container_executor.cfs.names import MARKER
from container_executor.cfs.plan import path_map
from container_executor.cli.cfs_progress import showing
from container_executor.cli.cfs_site import on_site, with_files
from container_executor.cli.output import note, warn, write_json, write_table
from container_executor.cli.site import json_option
from container_executor.settings import Settings
from container_executor.units import format_size

_POLICIES = {"local": Policy.KEEP_LOCAL, "remote": Policy.KEEP_REMOTE}
_SHOWN = 20


@click.command()
@click.option("-l", "--label", help="The label; without it, the one that DIR was synchronised with before.")
@click.option(
    "-d", "--dir", "folder", type=click.Path(path_type=Path, file_okay=False), default=".", help="The directory."
)
@click.option(
    "--keep",
    type=click.Choice(list(_POLICIES)),
    default="local",
    show_default=True,
    help="Which side of a file that differs replaces the other.",
)
@click.option("--dry-run", is_flag=True, help="Only show what would be done.")
@json_option
@with_files
def sync(
    settings: Settings, label: str | None, folder: Path, *, keep: str, dry_run: bool, as_json: bool, dev: bool
) -> None:
    """Make a directory and a label the union of both.

    What is on one side only is copied to the other; nothing is deleted. Run it again after a failure: what is done is not done
    again.
    """
    wanted = normal_label(label or _known_label(folder))
    tree = _tree(folder, make=not dry_run)

    def work(syncer: Syncer) -> Plan:
        plan = syncer.plan(tree, wanted, _POLICIES[keep])
        if not dry_run:
            with showing(progress := Progress()):
                syncer.apply(plan, tree, wanted, progress)
        return plan

    plan = on_site(settings, work, dev=dev)
    if not dry_run:
        _remember(folder, wanted)
    _report(plan, wanted, folder, done=not dry_run, as_json=as_json)


def _known_label(folder: Path) -> str:
    try:
        known = json.loads((folder / MARKER).read_text())["label"]
    except (OSError, ValueError, LookupError, TypeError):
        raise click.UsageError(f"{folder} was not synchronised before; name a label with --label") from None
    return str(known)


def _tree(folder: Path, *, make: bool) -> Tree:
    if make:
        folder.mkdir(parents=True, exist_ok=True)
    return Tree(folder.resolve()) if folder.exists() else Tree(folder.absolute().parent, (folder.name,))


def _remember(folder: Path, label: str) -> None:
    try:
        (folder / MARKER).write_text(json.dumps({"label": label}))
    except OSError as error:
        warn(f"{folder / MARKER}: the label is not remembered: {error.strerror}")


def _report(plan: Plan, label: str, folder: Path, *, done: bool, as_json: bool) -> None:
    for odd in plan.oddities[:_SHOWN]:
        warn(f"left out: {folder / odd.path}: {odd.reason}")
    if as_json:
        write_json(_described(plan, label, folder, done=done))
    else:
        if not done:
            write_table(("FILE", "SIZE", "WHAT"), _rows(plan))
        note(_summary(plan, done=done))
    content = [f"{odd.path!r}: {odd.reason}" for odd in plan.oddities if odd.content]
    if plan.refused or content:
        raise CfsError(
            "not everything could be synchronised:\n" + "\n".join([*map(str, plan.refused), *content][:_SHOWN])
        )


def _rows(plan: Plan) -> list[tuple[str, str, str]]:
    sizes = {file.path: file.size for file in plan.to_upload} | {file.path: file.size for file in plan.to_download}
    return [(path, format_size(sizes[path]), what) for path, what in path_map(plan).items()]


def _summary(plan: Plan, *, done: bool) -> str:
    if plan.empty:
        return f"nothing to do, {plan.unchanged} files are the same on both sides"
    kept = " (the stored one is replaced)" if plan.policy is Policy.KEEP_LOCAL else " (the local one is replaced)"
    counts = f"upload {len(plan.uploads)}, download {len(plan.downloads)}, conflicts {len(plan.conflicts)}"
    counts += kept if plan.conflicts else ""
    return f"{'done: ' if done else 'would be done: '}{counts}, unchanged {plan.unchanged}, {format_size(plan.bytes)}"


def _described(plan: Plan, label: str, folder: Path, *, done: bool) -> dict[str, object]:
    return {
        "label": label,
        "dir": str(folder),
        "done": done,
        "uploads": [file.path for file in plan.uploads],
        "downloads": [file.path for file in plan.downloads],
        "conflicts": [local.path for local, _ in plan.conflicts],
        "policy": plan.policy.value,
        "unchanged": plan.unchanged,
        "bytes": plan.bytes,
        "left_out": [{"path": odd.path, "reason": odd.reason} for odd in plan.oddities],
        "refused": [str(refused) for refused in plan.refused],
    }
