"""The command that removes what former runs left on the engine."""

import click

from container_executor.cli import interrupt
from container_executor.cli.output import note, write_json, write_table
from container_executor.cli.site import backend_option, json_option, state_dir_option, with_settings
from container_executor.execute.engine import Engine
from container_executor.execute.journal import Journal
from container_executor.execute.opening import ensure_owner, open_backend
from container_executor.execute.sweep import find_leftovers
from container_executor.models import Found
from container_executor.settings import Settings


@click.command()
@click.option("--dry-run", is_flag=True, help="Only list what would be removed.")
@backend_option
@state_dir_option
@json_option
@with_settings
def gc(settings: Settings, *, dry_run: bool, as_json: bool) -> None:
    """Remove what former runs left on the engine.

    Only objects with the mark of this state directory are looked at, and only those that no process needs any more. A running
    daemon does this by itself, and keeps the state directory locked.
    """
    settings.require("backend")
    found = interrupt.run(_collect, settings, dry_run)
    if as_json:
        write_json([_described(job) for job in found])
    elif found:
        write_table(("JOB", "ENGINE'S ID", "PROCESS", "ATTEMPT", "LAUNCH"), [_row(job) for job in found])
    note(f"{len(found)} {'would be ' if dry_run else ''}removed")


async def _collect(settings: Settings, dry_run: bool) -> list[Found]:  # noqa: FBT001 - run passes by position
    with Journal(settings.state_dir) as journal:
        backend = open_backend(settings, owner=settings.executor.owner or ensure_owner(settings.state_dir), dev=False)
        engine = Engine(backend)
        try:
            found = await find_leftovers(engine, journal)
            for job in () if dry_run else found:
                await engine.remove(job.handle)
        finally:
            backend.close()
    return found


def _described(job: Found) -> dict[str, object]:
    mark = job.mark.to_dict()
    return {"job_id": job.handle.job_id, "native_id": job.handle.native_id, **mark}


def _row(job: Found) -> tuple[str, ...]:
    mark = job.mark
    return job.handle.job_id, job.handle.native_id, mark.process_id[:12], str(mark.attempt), str(mark.launch)
