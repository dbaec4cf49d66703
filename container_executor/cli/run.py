"""The command that runs the daemon, or one spec and everything that it needs."""

from collections.abc import Sequence
from typing import NoReturn

import click

from container_executor.cli.dev import run_dev
from container_executor.cli.program import Session
from container_executor.cli.serving import run_daemon
from container_executor.cli.site import backend_option, state_dir_option, with_settings
from container_executor.cli.specs import read_specs, set_option
from container_executor.settings import Settings


@click.command()
@click.argument("specs", metavar="[SPEC]...", nargs=-1)
@set_option
@backend_option
@state_dir_option
@click.option(
    "--dev", is_flag=True, help="Development mode: start a server inside, make the keys, and register with it."
)
@with_settings
def run(settings: Settings, specs: Sequence[str], changes: Sequence[str], *, dev: bool) -> NoReturn:
    """Run the daemon that takes processes from the server and runs them.

    TERM or Ctrl-C once: it takes nothing new, and waits for its jobs or hands them over (executor.drain). Twice: it stops them.

    With --dev nothing else is needed. With specs as well, they are submitted and followed, and the exit code is that of the
    first that failed.

    HUP: it reads its configuration again; what cannot change under a running daemon is named in its log.
    """
    if specs and not dev:
        raise click.UsageError("a spec is run with --dev; to send it to a server, use `container-executor submit`")
    if dev:
        run_dev(settings, read_specs(specs, changes))
    run_daemon(settings, click.get_current_context().find_object(Session))
