"""How an error is told: one message on the standard error, and its exit code."""

import traceback

import click

from container_executor.cli.exit_codes import ExitCode, of_error
from container_executor.cli.output import escape, note
from container_executor.errors import ContainerExecutorError, SpecError


def report(error: BaseException, *, verbose: bool) -> int:
    """Tell *error* to the user and return the exit code that it stands for; *verbose* shows where it came from."""
    if verbose:
        click.echo("".join(traceback.format_exception(error)), err=True, nl=False)
    if isinstance(error, click.UsageError):
        if error.ctx is not None:
            click.echo(f"{error.ctx.get_usage()}\nTry '{error.ctx.command_path} --help'.\n", err=True)
        say(error.format_message())
        return ExitCode.USAGE
    if isinstance(error, click.ClickException):
        say(error.format_message())
        return ExitCode.USAGE
    if isinstance(error, ContainerExecutorError):
        say(_text(error))
        return of_error(error)
    if isinstance(error, OSError):
        say(f"{error.filename}: {error.strerror}" if error.filename else str(error))
        return ExitCode.FAULT
    say(
        f"a fault of this program: {type(error).__name__}: {error}; run it again with --verbose and report what it shows"
    )
    return ExitCode.FAULT


def say(text: str) -> None:
    """Write *text* as an error, the first line marked as one."""
    note(escape(text), style="error: ")


def _text(error: ContainerExecutorError) -> str:
    if isinstance(error, SpecError):
        return "\n".join(str(problem) for problem in error.problems)
    return str(error)
