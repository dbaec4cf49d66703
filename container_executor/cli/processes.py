"""Commands about processes: list, show, cancel."""

import json
from collections.abc import Iterable, Iterator, Sequence

import click

from container_executor.cli.connection import SHORT, call, full_id
from container_executor.cli.exit_codes import of_error
from container_executor.cli.messages import say
from container_executor.cli.outcome import describe, ended, outcome_of
from container_executor.cli.output import (
    note,
    show_age,
    show_span,
    show_time,
    write_json,
    write_sheet,
    write_table,
)
from container_executor.cli.site import json_option, with_settings
from container_executor.client import Client, Executor, Process, ProcessState
from container_executor.errors import ContainerExecutorError
from container_executor.settings import Settings

_STATES = {state.name.lower(): state for state in ProcessState}
_MOST = 100  # what one call of the server lists at most
_OUTCOME_KEYS = ("outcome", "exitcode")


@click.command()
@click.option("-a", "--all", "everything", is_flag=True, help="Ended ones too, not only those that wait or run.")
@click.option(
    "--state", "states", multiple=True, type=click.Choice(list(_STATES)), help="Only this state; may be repeated."
)
@click.option(
    "-n", "--count", type=click.IntRange(1, _MOST), default=20, show_default=True, help="At most so many of each state."
)
@click.option("--type", "executor_type", default="", help="Only those for this type of executor.")
@click.option("--label", default="", help="Only those with this label.")
@click.option("--user", default="", help="Only those that this user submitted.")
@click.option("-q", "--quiet", is_flag=True, help="Print ids only.")
@json_option
@with_settings
def ps(
    settings: Settings,
    states: Sequence[str],
    count: int,
    *,
    everything: bool,
    quiet: bool,
    as_json: bool,
    **filters: str,
) -> None:
    """List processes."""
    given = {{"user": "initiator"}.get(name, name): value for name, value in filters.items() if value}
    if len(given) > 1:
        raise click.UsageError("the server lists by one of --type, --label and --user at a time; give one")
    wanted = [_STATES[name] for name in states] or [state for state in ProcessState if everything or not state.ended]

    async def work(client: Client) -> tuple[list[Process], list[Executor]]:
        found = [process for state in wanted for process in await client.processes(state, count=count, **given)]
        return found, [] if quiet or as_json else await client.executors()

    processes, executors = call(settings, work)
    if as_json:
        write_json([describe(process) for process in processes])
    elif quiet:
        click.echo("".join(f"{process.id}\n" for process in processes), nl=False)
    else:
        write_table(("ID", "STATE", "FUNCTION", "EXECUTOR", "SUBMITTED", "RAN", "RESULT"), _rows(processes, executors))


@click.command()
@click.argument("process", metavar="ID")
@json_option
@with_settings
def get(settings: Settings, process: str, *, as_json: bool) -> None:
    """Show everything the server knows about a process."""

    async def work(client: Client) -> tuple[Process, list[Executor]]:
        return await client.process(await full_id(client, process)), await client.executors()

    found, executors = call(settings, work)
    if as_json:
        write_json(describe(found))
    else:
        write_sheet(_sheet(found, executors))


@click.command()
@click.argument("processes", metavar="ID...", nargs=-1, required=True)
@with_settings
def cancel(settings: Settings, processes: Sequence[str]) -> int:
    """Cancel processes.

    One that waits never starts; one that runs is stopped by its executor, which gives its program a grace period first.
    """

    async def work(client: Client) -> int:
        codes = [await _cancel(client, process) for process in processes]
        return max(codes)

    return call(settings, work)


async def _cancel(client: Client, text: str) -> int:
    try:
        process = await client.process(await full_id(client, text))
        if process.state.ended:
            note(f"{text} has ended already: {process.state.name.lower()}")
            return 0
        await client.cancel(process.id)
    except ContainerExecutorError as error:
        say(f"{text}: {error}")
        return of_error(error)
    click.echo(process.id)
    return 0


def _rows(processes: Iterable[Process], executors: Iterable[Executor]) -> Iterator[tuple[str, ...]]:
    names = {executor.id: executor.name for executor in executors}
    for process in processes:
        yield (
            process.id[:SHORT],
            process.state.name.lower(),
            _function(process),
            names.get(process.executor_id, process.executor_id[:SHORT]),
            show_age(process.submitted),
            _ran(process),
            _result(process),
        )


def _function(process: Process) -> str:
    kwargs = process.spec.get("kwargs") or {}
    image = kwargs.get("docker-image") if isinstance(kwargs, dict) else None
    name = str(process.spec.get("funcname", ""))
    return f"{name} {image}" if image else name


def _ran(process: Process) -> str:
    if process.started is None:
        return ""
    if process.ended is None or not process.state.ended:
        return show_age(process.started).removesuffix(" ago")
    return show_span(process.ended - process.started)


def _result(process: Process) -> str:
    if not process.state.ended:
        return ""
    end = ended(process)
    if not end.exit_code:
        return "0"
    exit_code = outcome_of(process).get("exit_code")
    return (
        " ".join(str(part) for part in (exit_code, end.failure) if part not in (None, ""))
        or end.message.splitlines()[0][:40]
    )


def _sheet(process: Process, executors: Iterable[Executor]) -> Iterator[tuple[str, str]]:
    names = {executor.id: executor.name for executor in executors}
    end = ended(process)
    yield from (
        ("id", process.id),
        ("state", process.state.name.lower()),
        ("function", _function(process)),
        ("colony", process.colony),
        ("submitted by", process.initiator or process.initiator_id),
        ("executor", names.get(process.executor_id, process.executor_id)),
        ("attempt", str(process.attempt + 1)),
        ("submitted", show_time(process.submitted)),
        ("started", show_time(process.started)),
        ("ended", show_time(process.ended) if process.state.ended else ""),
        ("deadline", show_time(process.exec_deadline) if process.state is ProcessState.RUNNING else ""),
        ("waits for", "\n".join(process.parents) if process.wait_for_parents else ""),
        ("exit code", str(outcome_of(process).get("exit_code", ""))),
        ("failure", end.failure),
        ("reason", end.message),
        ("output", json.dumps(process.output, ensure_ascii=False) if process.output else ""),
    )
    yield from _attributes(process)
    yield "spec", json.dumps(process.spec, indent=2, ensure_ascii=False)


def _attributes(process: Process) -> Iterator[tuple[str, str]]:
    for attribute in process.attributes:
        if attribute.kind == 1 and attribute.key not in _OUTCOME_KEYS:
            yield f"attribute {attribute.key}", attribute.value
    placed = {
        key: value
        for key, value in outcome_of(process).items()
        if key in ("node", "rank", "native_id", "image_id", "launch")
    }
    yield "ran as", ", ".join(f"{key} {value}" for key, value in placed.items() if value not in ("", 0))
