"""The command that prints completion scripts."""

import click
from click.shell_completion import get_completion_class

from container_executor.cli.program import program

NAME = "container-executor"
VARIABLE = "_CONTAINER_EXECUTOR_COMPLETE"


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script for a shell.

    \b
    bash   container-executor completion bash > ~/.local/share/bash-completion/completions/container-executor
    zsh    container-executor completion zsh > a directory of $fpath, as _container-executor
    fish   container-executor completion fish > ~/.config/fish/completions/container-executor.fish
    """  # noqa: D301 - click reads the character \b
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"there is no completion for {shell}")
    click.echo(kind(program, {}, NAME, VARIABLE).source())
