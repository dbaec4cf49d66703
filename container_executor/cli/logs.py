"""The command that prints the log of a process."""

from collections.abc import Callable

import click

from container_executor.cli.connection import call, full_id
from container_executor.cli.follow import LogReader, RankFilter, entry_line, entry_text, follow
from container_executor.cli.outcome import ended
from container_executor.cli.output import note, write
from container_executor.cli.site import json_option, with_settings
from container_executor.client import Client, LogEntry, Process
from container_executor.settings import Settings


@click.command()
@click.argument("process", metavar="ID")
@click.option(
    "-f", "--follow", "following", is_flag=True, help="Go on until the process has ended; end with its exit code."
)
@click.option("--rank", type=click.IntRange(min=0), help="Only the lines of this rank, without their label.")
@json_option
@with_settings
def logs(settings: Settings, process: str, rank: int | None, *, following: bool, as_json: bool) -> int:
    """Print the log of a process.

    On a terminal control characters are written out; a pipe or file gets the log as it is. With --json each entry of the log
    is a line.
    """

    async def work(client: Client) -> int:
        described = await client.process(await full_id(client, process))
        show = entry_line if as_json else _shower(described, rank)
        if following:
            return ended(await follow(client, described.id, show)).exit_code
        for entry in await LogReader(client, described.id).read():
            show(entry)
        return 0

    try:
        return call(settings, work)
    except KeyboardInterrupt:
        note(f"the process is not touched by this; `container-executor logs -f {process}` follows it again")
        raise


def _shower(process: Process, rank: int | None) -> Callable[[LogEntry], None]:
    if rank is None:
        return entry_text
    ranks = _ranks(process)
    if rank >= ranks:
        raise click.UsageError(
            f"the process has {ranks} rank{'s' if ranks > 1 else ''}, counted from 0; there is no rank {rank}"
        )
    return RankFilter(rank, write) if ranks > 1 else entry_text


def _ranks(process: Process) -> int:
    conditions = process.spec.get("conditions") or {}
    nodes, each = (conditions.get(name) for name in ("nodes", "processespernode"))
    return max(nodes if isinstance(nodes, int) else 1, 1) * max(each if isinstance(each, int) else 1, 1)
