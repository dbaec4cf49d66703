"""Commands about private keys."""

import sys
from pathlib import Path

import click

from container_executor.client import Identity
from container_executor.client.identity import ensure_key, load_key
from container_executor.errors import SettingsError

_FILE = click.Path(path_type=Path, dir_okay=False, allow_dash=True)


@click.group()
def keys() -> None:
    """Make private keys, and tell the ids they stand for."""


@keys.command()
@click.argument("file", type=_FILE)
def new(file: Path) -> None:
    """Make a key, write it to FILE, which only its owner can read, and print its id. An existing file is left alone."""
    if file.exists():
        raise click.UsageError(f"{file} exists already; a key that is lost cannot be made again")
    click.echo(ensure_key(file).id)


@keys.command("id")
@click.argument("file", type=_FILE)
def show_id(file: Path) -> None:
    """Print the id of the key in FILE, or of the one on the standard input where FILE is -."""
    if str(file) != "-":
        click.echo(load_key(file).id)
        return
    try:
        click.echo(Identity(sys.stdin.readline().strip().lower()).id)
    except ValueError as error:
        raise SettingsError(f"standard input: {error}") from None
