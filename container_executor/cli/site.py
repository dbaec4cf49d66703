"""Options that every command with settings takes, and the settings they make."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from container_executor.cli.output import warn
from container_executor.cli.program import Session
from container_executor.errors import SettingsError
from container_executor.settings import Examined, examine

_OPTIONS = (
    click.option(
        "--config", "file", type=click.Path(path_type=Path, dir_okay=False), help="Configuration file (TOML)."
    ),
    click.option("--host", "server_host", help="Name or address of the Colonies server."),
    click.option("--port", "server_port", type=click.IntRange(0, 65535), help="Port of the server."),
    click.option("--tls/--no-tls", "server_tls", default=None, help="Speak HTTPS to the server, or not."),
    click.option("--colony", "server_colony", help="Name of the colony."),
    click.option("--key-file", "server_key_file", type=click.Path(dir_okay=False), help="File with the private key."),
    click.option(
        "-o", "--option", "options", multiple=True, metavar="PATH=VALUE", help="Any setting, as server.timeout=5s."
    ),
    click.option("-v", "--verbose", is_flag=True, help="Say more; show where an error came from."),
)

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")


def with_settings(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give *command* the options of a site, and the settings that follow from them as its argument ``settings``."""

    @functools.wraps(command)
    def wrapped(*, found: Examined, **rest: Any) -> Any:
        if found.problems:
            raise SettingsError("\n".join(found.problems))
        for warning in found.settings.warnings if click.get_current_context().info_name in _WARN else ():
            warn(warning)
        return command(settings=found.settings, **rest)

    return with_examined(wrapped)


def with_examined(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give *command* the options of a site, and as its argument ``found`` what they say, right or wrong."""

    @functools.wraps(command)
    def wrapped(*, file: Path | None, options: tuple[str, ...], verbose: bool, **rest: Any) -> Any:
        session = click.get_current_context().find_object(Session) or Session()
        session.verbose = verbose
        flags = {path: rest.pop(name) for name, path in _FLAGS.items() if name in rest}
        asked = {**flags, **_parse(options), "verbose": verbose or None}
        session.examine = functools.partial(examine, file=file, flags=asked)
        found = session.examine()
        session.verbose = found.settings.verbose
        return command(found=found, **rest)

    return functools.reduce(lambda wrapping, option: option(wrapping), reversed(_OPTIONS), wrapped)


_WARN = frozenset({"run", "config"})
"""Commands that tell which variables have no effect; a user of the others has often only inherited them."""

_FLAGS = {
    "server_host": "server.host",
    "server_port": "server.port",
    "server_tls": "server.tls",
    "server_colony": "server.colony",
    "server_key_file": "server.key_file",
    "backend": "backend",
    "state_dir": "state_dir",
}


def _complete_backend(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[str]:
    from container_executor.registry import names  # noqa: PLC0415 - it reads what is installed

    return [name for name in names() if name.startswith(begun)]


backend_option = click.option(
    "-b", "--backend", metavar="NAME", shell_complete=_complete_backend, help="Backend that runs the jobs."
)
state_dir_option = click.option(
    "--state-dir", type=click.Path(file_okay=False), help="Directory of the journal, the key and the spool."
)


def _parse(options: tuple[str, ...]) -> dict[str, str]:
    pairs = {}
    for option in options:
        path, found, value = option.partition("=")
        if not found:
            raise click.UsageError(f"--option {option}: write it as PATH=VALUE, such as server.timeout=5s")
        pairs[path.strip()] = value
    return pairs
