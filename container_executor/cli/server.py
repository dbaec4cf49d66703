"""The command that runs a Colonies server of our own."""

import shlex
import signal
from datetime import timedelta
from pathlib import Path

import anyio
import click

from container_executor.cli.output import note
from container_executor.client import Identity
from container_executor.client.identity import ensure_key
from container_executor.server import Server

_KEY = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Directory of the database and keys.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=50080, show_default=True, help="Port; 0 takes a free one."
)
@click.option(
    "--expose", is_flag=True, help="Allow an address that others can reach. There is no TLS: put a proxy in front."
)
@click.option("--colony", default="dev", show_default=True, help="Colony that is made at the first start.")
@click.option("--server-key-file", type=_KEY, help="Key of the server's owner.  [default: DATA/server.key]")
@click.option("--owner-key-file", type=_KEY, help="Key of the colony's owner.  [default: DATA/owner.key]")
@click.option("--user-key-file", type=_KEY, help="Key of a user of the colony.  [default: DATA/user.key]")
@click.option("--user", default="user", show_default=True, help="Name of that user.")
@click.option(
    "--stale-after",
    type=click.FloatRange(min=1),
    default=600,
    show_default=True,
    metavar="SECONDS",
    help="Unregister an executor that has not asked for work for so long.",
)
def server(
    *,
    data: Path,
    host: str,
    port: int,
    colony: str,
    server_key_file: Path | None,
    owner_key_file: Path | None,
    user_key_file: Path | None,
    user: str,
    stale_after: float,
    expose: bool,
) -> None:
    """Run a Colonies server of our own.

    It keeps everything in a file below DATA, makes keys where there are none, and prints how to connect as lines for a shell:

    \b
        container-executor server --data ./colonies > connect.sh &
        . ./connect.sh
    """  # noqa: D301 - click reads the character \b
    files = (
        server_key_file or data / "server.key",
        owner_key_file or data / "owner.key",
        user_key_file or data / "user.key",
    )
    identities = tuple(ensure_key(file) for file in files)
    embedded = Server(
        data,
        server_id=identities[0].id,
        host=host,
        port=port,
        expose=expose,
        stale_after=timedelta(seconds=stale_after),
    )
    anyio.run(_serve, embedded, colony, identities, user, files)


async def _serve(
    embedded: Server, colony: str, identities: tuple[Identity, ...], user: str, files: tuple[Path, ...]
) -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with embedded:
            await embedded.bootstrap(colony, identities[1].id, [(user, identities[2].id)])
            click.echo("\n".join(_exports(embedded, colony, files)))
            note(f"listening on {embedded.url}; Ctrl-C ends it")
            async for _ in signals:
                break
    note("ended; everything that was acknowledged is kept")


def _exports(embedded: Server, colony: str, files: tuple[Path, ...]) -> list[str]:
    names = ("COLONIES_SERVER_PRVKEY", "COLONIES_COLONY_PRVKEY", "COLONIES_PRVKEY")
    return [
        f"export COLONIES_SERVER_HOST={shlex.quote(embedded.host)}",
        f"export COLONIES_SERVER_PORT={embedded.port}",
        "export COLONIES_TLS=false",
        f"export COLONIES_COLONY_NAME={shlex.quote(colony)}",
        *(
            f'export {name}="$(cat {shlex.quote(str(file.absolute()))})"'
            for name, file in zip(names, files, strict=True)
        ),
    ]
