"""Groups that import a command only when it is used."""

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from types import MappingProxyType
from typing import Any

import click


class LazyGroup(click.Group):
    """A group that imports a command when it is asked for, and lists its commands without importing any.

    Attributes:
        lines: Every command, in the order in which the help shows them, with the first sentence of its own help.
        modules: Where commands are that are not in the module of their name.
    """

    def __init__(
        self, *args: Any, lines: Mapping[str, str], modules: Mapping[str, str] = MappingProxyType({}), **extra: Any
    ) -> None:
        """Take the commands; everything else is for click."""
        super().__init__(*args, **extra)
        self.lines = lines
        self.modules = modules

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return the commands in the order in which the help shows them."""
        return list(self.lines)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import a command."""
        if cmd_name not in self.lines:
            return None
        with _uncollected():
            module = import_module(f"container_executor.cli.{self.modules.get(cmd_name, cmd_name)}")
        command = getattr(module, cmd_name)
        return command if isinstance(command, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the list of commands from their first sentences."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self.lines.items()))


@contextmanager
def _uncollected() -> Iterator[None]:
    """Keep what the block makes out of all garbage collections, that at the exit too: of a short command they are a fifth."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
