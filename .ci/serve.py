"""Run a command with the URL of a fresh embedded server as its last argument; end with the command's exit code.

The server's owner is the key that is published in the Colonies project's own examples.
"""

import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import anyio
from anyio import to_thread

from container_executor.server import Server

OWNER = "039231c7644e04b6895471dd5335cf332681c54e27f81fac54f9067b3f2c0103"


async def main(command: list[str]) -> int:
    """Serve while *command* runs."""
    with tempfile.TemporaryDirectory() as folder:
        async with Server(Path(folder), server_id=OWNER) as server:
            run = partial(subprocess.run, [*command, server.url], check=False)
            return (await to_thread.run_sync(run)).returncode


sys.exit(anyio.run(main, sys.argv[1:]))
