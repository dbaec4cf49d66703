"""A real embedded server in a program of its own, and the command line talking to it."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

import anyio
import attrs
import pytest
from click.testing import CliRunner, Result
from colonies import wait_for

from container_executor.cli.program import program
from container_executor.client import Client, Executor, Identity, Process

T = TypeVar("T")

PROGRAM = [sys.executable, "-m", "container_executor.cli"]
CLEAN = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("COLONIES_", "EXECUTOR_", "AWS_", "CONTAINER_EXECUTOR_"))
}


@attrs.frozen
class Colony:
    """A running server, and the command line as a user of its colony."""

    port: int
    data: Path
    environ: Mapping[str, str]

    def run(self, *arguments: str, stdin: str | bytes = "") -> Result:
        """Run the command line in this program."""
        return CliRunner(env={**CLEAN, **self.environ}).invoke(
            program, list(arguments), input=stdin, prog_name="container-executor"
        )

    def start(self, *arguments: str, without: str = "") -> "subprocess.Popen[bytes]":
        """Start the command line as a program of its own, without one of the variables."""
        environ = {name: value for name, value in {**CLEAN, **self.environ}.items() if name != without}
        pipe = subprocess.PIPE
        return subprocess.Popen([*PROGRAM, *arguments], env=environ, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe)

    def call(self, work: Callable[[Client], Awaitable[T]], *, key: str = "user") -> T:
        """Return what *work* returns for a client that signs with one of the server's keys, or with a key itself."""
        file = self.data / f"{key}.key"
        identity = Identity(file.read_text().strip() if file.exists() else key)

        async def connected() -> T:
            async with Client(f"http://127.0.0.1:{self.port}", "dev", identity) as client:
                return await work(client)

        return anyio.run(connected)


class Worker:
    """An executor that does with a process what a test says."""

    def __init__(self, colony: Colony, name: str) -> None:
        self.name, self.identity = name, Identity.new()
        self._colony = colony
        executor = Executor(name=name, id=self.identity.id, type=name, colony="dev")
        colony.call(lambda client: client.add_executor(executor), key="owner")
        colony.call(lambda client: client.approve_executor(name), key="owner")

    def take(self) -> Process:
        """Take the process that is meant for this executor."""
        process = self.call(lambda client: client.assign(timeout=10, cpu=None, memory=None))
        assert process is not None
        return process

    def call(self, work: Callable[[Client], Awaitable[T]]) -> T:
        """Call the server as this executor."""
        return self._colony.call(work, key=self.identity.key)


@pytest.fixture(scope="session")
def colony(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Colony]:
    """Run a server for the tests of the command line, started by its own command."""
    data = tmp_path_factory.mktemp("colonies")
    with (data / "connect.sh").open("wb") as out, (data / "err").open("wb") as err:
        server = subprocess.Popen(
            [*PROGRAM, "server", "--data", str(data), "--port", "0"], stdout=out, stderr=err, env=CLEAN
        )
    try:
        wait_for(lambda: "listening on" in (data / "err").read_text(), "the server's address")
        text = (data / "connect.sh").read_text()
        shell = subprocess.run(
            ["sh", "-c", f"{text}\nenv"], env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=True
        )
        environ = dict(re.findall(r"^(COLONIES_\w+)=(.*)$", shell.stdout, re.MULTILINE))
        yield Colony(int(environ["COLONIES_SERVER_PORT"]), data, environ)
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(20)


@pytest.fixture
def worker(colony: Colony, request: pytest.FixtureRequest) -> Worker:
    """Register an executor of a type of its own for this test."""
    return Worker(colony, re.sub(r"[^a-z0-9]+", "-", f"w-{request.node.name.lower()}")[:60].strip("-"))
