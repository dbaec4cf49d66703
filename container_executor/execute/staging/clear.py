"""Empties directories of a site: of what a process has left, and of what belongs to another label."""

from collections.abc import Collection
from contextlib import suppress

from container_executor.cfs import CfsError, Syncer
from container_executor.cfs.clear import clear
from container_executor.cfs.names import join_label
from container_executor.cfs.remote import Remote, list_remote
from container_executor.cfs.snapshots import snapshot_files
from container_executor.errors import ServerError
from container_executor.execute.staging.entries import Entry
from container_executor.execute.staging.kept import Kept
from container_executor.execute.staging.places import Parts
from container_executor.execute.staging.shared import Staging
from container_executor.execute.staging.words import shortened


async def empty(staging: Staging, entry: Entry) -> list[str]:
    """Remove what a directory was filled with and what was stored from it; return the paths of the files that stay.

    Raises:
        CfsError: The directory cannot be read.
        ServerError: The server does not tell what is stored.
    """
    stay = await _clear(staging, entry.parts, entry.label, entry.without, await _filled_with(staging, entry))
    if not stay:
        staging.register.forget(entry.parts)
    return stay


async def _filled_with(staging: Staging, entry: Entry) -> Remote | None:
    """Return what a snapshot filled a directory with; None where the label did, or nobody knows any more."""
    if entry.snapshot:
        with suppress(ServerError, CfsError):
            snapshot = await staging.client.snapshot(entry.snapshot)
            return await staging.run(lambda syncer: snapshot_files(syncer.client, snapshot, syncer.stop))
    return None


async def empty_of_others(staging: Staging, entry: Entry, entries: Collection[Entry]) -> None:
    """Remove what was left in, around or below a directory by jobs that filled it from another label.

    Raises:
        CfsError: Some of it is stored nowhere else, and is not ours to remove.
    """
    mine = {other.parts for other in entries}
    for kept in staging.register.near(entry.parts):
        below = kept.parts[len(entry.parts) :]
        if _agree(entry, kept) or (below and kept.parts in mine):
            continue
        parts = kept.parts if below else entry.parts
        label = kept.label if below else join_label(kept.label, *entry.parts[len(kept.parts) :])
        if stay := await _clear(staging, parts, label, frozenset()):
            raise CfsError(
                f"{staging.tree(parts).path} holds files of the label {label} that are stored nowhere else "
                f"({shortened(stay)}); use another dir, or let the site store or remove them"
            )
        if parts == kept.parts:
            staging.register.forget(parts)


def _agree(entry: Entry, kept: Kept) -> bool:
    """Return whether both give the files that they share the same labels."""
    below, above = kept.parts[len(entry.parts) :], entry.parts[len(kept.parts) :]
    return join_label(entry.label, *below) == join_label(kept.label, *above)


async def _clear(
    staging: Staging, parts: Parts, label: str, without: frozenset[str], filled_with: Remote | None = None
) -> list[str]:
    def work(syncer: Syncer) -> tuple[str, ...]:
        remote = filled_with if filled_with is not None else list_remote(syncer.client, label, without, syncer.stop)
        return clear(syncer, staging.tree(parts), label, remote, without=without)

    return list(await staging.run(work))
