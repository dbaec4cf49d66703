"""The program: its commands, each imported only when it is used, and how every error ends."""

import gc
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Any, NoReturn

import click

COMMANDS = {
    "run": "Run the daemon that takes processes from the server and runs them.",
    "submit": "Submit function specs.",
    "ps": "List processes.",
    "get": "Show everything the server knows about a process.",
    "logs": "Print the log of a process.",
    "cancel": "Cancel processes.",
    "cfs": "Bring directories and labels of the file system together.",
    "executors": "List the executors of the colony.",
    "render": "Print what a backend would send to its engine for a spec.",
    "backends": "List the installed backends, or the settings of one.",
    "gc": "Remove what former runs left on the engine.",
    "server": "Run a Colonies server of our own.",
    "keys": "Make private keys, and tell the ids they stand for.",
    "config": "Show every setting, its value, and what set it.",
    "doctor": "Look at this site, and name what is wrong with it and what mends it.",
    "completion": "Print the completion script for a shell.",
}
"""Every command with the first sentence of its help, which the list of commands shows without importing it."""

_MODULES = {"ps": "processes", "get": "processes", "cancel": "processes"}


class Session:
    """What a run of the program knows besides its arguments: the context's ``obj``.

    Attributes:
        verbose: An error shows where it came from.
        examine: Asks for the settings of this run once more; None where the command has none.
    """

    verbose = False
    examine: Callable[[], Any] | None = None


class Program(click.Group):
    """A group that imports a command when it is asked for, and ends with one message and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return the commands in the order in which the help shows them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import a command."""
        if cmd_name not in COMMANDS:
            return None
        with _uncollected():
            module = import_module(f"container_executor.cli.{_MODULES.get(cmd_name, cmd_name)}")
        command = getattr(module, cmd_name)
        return command if isinstance(command, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the list of commands from their first sentences."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; a reader of our output that has gone ends it quietly."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            raise click.exceptions.Exit(_close_output()) from None
        return result

    def main(self, args: Sequence[str] | None = None, *_: Any, **extra: Any) -> NoReturn:
        """Run the program and exit; no exception leaves it."""
        session = extra["obj"] = Session()
        extra["standalone_mode"] = False
        try:
            outcome = super().main(args, **extra)
        except BaseException as error:  # noqa: BLE001 - the one place where errors become messages
            sys.exit(_end(error, session))
        sys.exit(outcome if isinstance(outcome, int) else 0)


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="container-executor")
def program() -> None:
    """Run the processes of a Colonies server as containers.

    Settings come from flags, the environment (COLONIES_SERVER_HOST, ...) and a file; `container-executor config` shows them.
    """


def leave(code: int) -> NoReturn:
    """End the program now: a thread whose call is stuck, in an engine's client or at a server that is silent, must not keep it."""
    with suppress(OSError):  # a full disk, or nobody who reads
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Keep what the block makes out of all garbage collections, that at the exit too: of a short command they are a fifth."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _end(error: BaseException, session: Session) -> int:
    """Say what went wrong in one message, and return the exit code."""
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else 0
    if isinstance(error, KeyboardInterrupt | click.Abort):
        click.echo("interrupted", err=True)
        return 128 + signal.SIGINT
    from container_executor.cli.messages import report  # noqa: PLC0415 - the help must not pay for it

    return report(error, verbose=session.verbose)


def _close_output() -> int:
    # The interpreter flushes the standard output once more when it exits, and would complain there (Python manual, SIGPIPE).
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 128 + signal.SIGPIPE
