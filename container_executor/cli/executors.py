"""The command that lists executors."""

from collections.abc import Iterator

import click

from container_executor.cli.connection import call
from container_executor.cli.output import plain, show_age, write_json, write_table
from container_executor.cli.site import json_option, with_settings
from container_executor.client import Executor, ExecutorState
from container_executor.settings import Settings


@click.command()
@click.option("-a", "--all", "everything", is_flag=True, help="Also those that are not registered any more.")
@json_option
@with_settings
def executors(settings: Settings, *, everything: bool, as_json: bool) -> None:
    """List the executors of the colony."""
    found = call(settings, lambda client: client.executors())
    shown = [executor for executor in found if everything or executor.state is not ExecutorState.UNREGISTERED]
    if as_json:
        write_json([{**plain(executor), "state": executor.state.name.lower()} for executor in shown])
    else:
        write_table(("NAME", "TYPE", "STATE", "LOCATION", "LAST SEEN", "HARDWARE"), _rows(shown))


def _rows(shown: list[Executor]) -> Iterator[tuple[str, ...]]:
    for executor in sorted(shown, key=lambda executor: executor.name):
        state = executor.state.name.lower()
        yield executor.name, executor.type, state, executor.location, show_age(executor.last_heard), _hardware(executor)


def _hardware(executor: Executor) -> str:
    machines = executor.capabilities.get("hardware") or []
    return "; ".join(" ".join(_words(machine)) for machine in machines)


def _words(machine: dict[str, object]) -> Iterator[str]:
    for key, unit in (("nodes", " nodes"), ("cpu", " cpu"), ("mem", ""), ("model", "")):
        if machine.get(key):
            yield f"{machine[key]}{unit}"
    gpu = machine.get("gpu")
    if isinstance(gpu, dict) and gpu.get("count"):
        yield f"{gpu['count']} x {gpu.get('name') or 'GPU'}"
