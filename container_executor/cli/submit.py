"""The command that submits function specs."""

from collections.abc import Sequence

import attrs
import click

from container_executor.cli.connection import SHORT, call
from container_executor.cli.follow import entry_line, entry_text, follow
from container_executor.cli.messages import say
from container_executor.cli.outcome import describe, ended, outcome_of
from container_executor.cli.output import note, write_json, write_line
from container_executor.cli.site import json_option, with_settings
from container_executor.cli.specs import read_specs, set_option, spec_arguments
from container_executor.client import Client, Process
from container_executor.funcspec import FunctionSpec, to_wire
from container_executor.settings import Settings


@click.command()
@spec_arguments
@set_option
@click.option(
    "-f", "--follow", "following", is_flag=True, help="Print the log until the process ends; end with its exit code."
)
@json_option
@with_settings
def submit(settings: Settings, specs: Sequence[str], changes: Sequence[str], *, following: bool, as_json: bool) -> int:
    """Submit function specs.

    SPEC is a JSON file, or - for the standard input. Each spec is checked and written as the server understands it; nothing is
    submitted unless all are right. Prints the id of each process. With --follow, several are followed one after the other, and
    the exit code is that of the first that failed.
    """
    wanted = [to_wire(_at(spec, settings)) for spec in read_specs(specs, changes)]
    submitted: list[Process] = []

    async def work(client: Client) -> int:
        for spec in wanted:
            submitted.append(await client.submit(spec))
            if not as_json:
                click.echo(submitted[-1].id, err=following)
        return await _follow_all(client, submitted, as_json=as_json) if following else 0

    try:
        code = call(settings, work)
    except KeyboardInterrupt:
        _say_what_goes_on(submitted)
        raise
    if as_json and not following:
        write_json([describe(process) for process in submitted])
    return code


def _at(spec: FunctionSpec, settings: Settings) -> FunctionSpec:
    colony = spec.conditions.colony or settings.server.colony
    return attrs.evolve(spec, conditions=attrs.evolve(spec.conditions, colony=colony))


async def _follow_all(client: Client, submitted: Sequence[Process], *, as_json: bool) -> int:
    codes = [await _follow(client, process, as_json=as_json) for process in submitted]
    return next((code for code in codes if code), 0)


async def _follow(client: Client, process: Process, *, as_json: bool) -> int:
    last = await follow(client, process.id, entry_line if as_json else entry_text)
    end = ended(last)
    if as_json:
        write_line(
            {
                "processid": last.id,
                "state": last.state.name.lower(),
                "outcome": outcome_of(last) or None,
                "exitcode": end.exit_code,
            }
        )
    elif end.exit_code:
        say(f"process {last.id[:SHORT]}: {end.message}")
    return end.exit_code


def _say_what_goes_on(submitted: Sequence[Process]) -> None:
    for process in submitted:
        short = process.id[:SHORT]
        note(f"process {short} goes on; container-executor logs -f {short} follows it, cancel {short} ends it")
