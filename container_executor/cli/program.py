"""The program: its commands, and how every error ends."""

import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NoReturn

import click

from container_executor.cli.lazy import LazyGroup

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


class Program(LazyGroup):
    """The group of all commands, which ends with one message and an exit code."""

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


@click.group(cls=Program, lines=COMMANDS, modules=_MODULES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="container-executor")
def program() -> None:
    """Run the processes of a Colonies server as containers.

    Settings come from flags, the environment (COLONIES_SERVER_HOST, ...) and a file; `container-executor config` shows them.
    """


def leave(code: int) -> NoReturn:
    """End the program now.

    A thread whose call is stuck, in an engine's client or at a server that is silent, must not keep it, and taking the interpreter
    apart is a twentieth of a short command.
    """
    with suppress(OSError):  # a full disk, or nobody who reads
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


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
