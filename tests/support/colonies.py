"""A colony on an embedded server in a thread, and daemons as programs of their own that a test can kill, freeze and restart.

Where ``CE_COLONIES_SERVER`` is the address of a Colonies server, as ``http://127.0.0.1:50080``, and ``CE_COLONIES_SERVER_KEY`` the
private key of its owner, the colony is one of its own on that server instead, which must be on this machine.
"""

import json
import os
import re
import secrets
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import attrs
import pytest
from anyio.from_thread import BlockingPortal

from container_executor.client import Client, Identity, Process, ProcessState, User
from container_executor.funcspec import parse, to_wire
from container_executor.server import Server
from container_executor.testing import bench

T = TypeVar("T")

PATIENCE = 60.0
PROGRAM = Path(__file__).parent / "daemon_program.py"
STALE_AFTER = timedelta(seconds=600)
SERVER = os.environ.get("CE_COLONIES_SERVER", "")
SERVER_KEY = os.environ.get("CE_COLONIES_SERVER_KEY", "")


def colony_name() -> str:
    """Return the name of a colony that nobody else has on the server."""
    return f"test-{secrets.token_hex(6)}" if SERVER else "dev"


def wait_for(condition: Callable[[], T | None], what: str, patience: float = PATIENCE) -> T:
    """Return what *condition* returns once it is true; fail when it is not in time."""
    return bench.wait_for(condition, timedelta(seconds=patience), what)


@attrs.define(eq=False)
class Colony:
    """A colony, its owner and a user, on a server of its own or the one that the environment names.

    Attributes:
        folder: Where its data are.
        portal: The event loop that it runs in.
        stale_after: When an executor that does not ask for work is forgotten.
        image: The image of jobs that name none.
        name: Its name.
        owner: Who owns it.
        user: Who submits.
        port: Where its server listens.
    """

    folder: Path
    portal: BlockingPortal
    stale_after: timedelta = STALE_AFTER
    image: str = "busybox"
    name: str = attrs.field(factory=colony_name)
    owner: Identity = attrs.field(factory=Identity.new)
    user: Identity = attrs.field(factory=Identity.new)
    port: int = 0
    _server: Any = None
    _client: Client | None = None

    def start(self) -> None:
        """Make the colony, and serve it unless another program does."""
        if SERVER:
            self._join()
        else:
            self._serve()
        self._client = Client(f"http://127.0.0.1:{self.port}", self.name, self.user)

    def _join(self) -> None:
        if self.stale_after != STALE_AFTER:
            pytest.skip(f"needs a server that forgets an executor after {self.stale_after}, which {SERVER} does not")
        self.port = urlsplit(SERVER).port or 80
        self.portal.call(self._found)

    async def _found(self) -> None:
        async with Client(SERVER, self.name, Identity(SERVER_KEY)) as server:
            await server.add_colony(self.name, self.owner.id)
            await server.as_(self.owner).add_user(User("tester", self.user.id))

    async def _dissolve(self) -> None:
        async with Client(SERVER, self.name, Identity(SERVER_KEY)) as server:
            await server.remove_colony(self.name)

    def _serve(self) -> None:
        server = Server(
            self.folder / "server.sqlite",
            server_id=self.owner.id,
            port=self.port,
            durability="normal",
            stale_after=self.stale_after,
        )
        self._server = self.portal.wrap_async_context_manager(server)
        self._server.__enter__()
        self.port = server.port
        self.portal.call(server.bootstrap, self.name, self.owner.id, [("tester", self.user.id)])

    def stop(self) -> None:
        """Serve no more; on a server of others, leave nothing behind."""
        self.portal.call(self.client.close)
        if SERVER:
            self.portal.call(self._dissolve)
        else:
            self._server.__exit__(None, None, None)

    @property
    def client(self) -> Client:
        """A client signed as the user."""
        assert self._client is not None, "start the colony first"
        return self._client

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Return what an async call of the client returns."""
        return self.portal.call(function, *arguments)

    def submit(self, cmd: str, *args: str, conditions: Mapping[str, Any] | None = None, **fields: Any) -> str:
        """Submit a shell line, or a program with arguments; return the process id."""
        spec = {
            "funcname": "execute",
            "conditions": {"colonyname": self.name, "executortype": "container-executor", **(conditions or {})},
            "kwargs": {"docker-image": fields.pop("image", self.image), "cmd": cmd, "args": list(args)},
            "maxexectime": 120,
            "maxretries": 0,
            **fields,
        }
        process: Process = self.call(self.client.submit, to_wire(parse(spec).spec))
        return process.id

    def process(self, process_id: str) -> Process:
        """Return the process as it is now."""
        process: Process = self.call(self.client.process, process_id)
        return process

    def wait(self, process_id: str, *states: ProcessState, patience: float = PATIENCE) -> Process:
        """Return the process once it is in one of *states*, by default once it has ended."""
        wanted = states or (ProcessState.SUCCESS, ProcessState.FAILED, ProcessState.CANCELLED)

        def reached() -> Process | None:
            process = self.process(process_id)
            # The Colonies server writes the reasons of a failure in a step of its own, after the state.
            late = SERVER and process.state is ProcessState.FAILED and not process.errors
            return process if process.state in wanted and not late else None

        return wait_for(reached, f"{process_id[:8]} in {[state.name for state in wanted]}", patience)

    def live(self) -> list[Process]:
        """Return the processes that an executor has."""
        found: list[Process] = self.portal.call(partial(self.client.processes, state=ProcessState.RUNNING))
        return found

    def environ(self) -> dict[str, str]:
        """Return the variables with which the command line is a user of this colony."""
        return {
            "COLONIES_SERVER_HOST": "127.0.0.1",
            "COLONIES_SERVER_PORT": str(self.port),
            "COLONIES_TLS": "false",
            "COLONIES_COLONY_NAME": self.name,
            "COLONIES_PRVKEY": self.user.key,
        }

    def log(self, process_id: str) -> str:
        """Return the whole log."""
        parts, since = [], 0
        while True:
            entries = self.portal.call(partial(self.client.logs, process_id, since=since, count=500))
            parts += [entry.message for entry in entries]
            if len(entries) < 500:
                return "".join(parts)
            since = entries[-1].timestamp

    def output(self, process_id: str) -> list[str]:
        """Return the lines of the log that the job itself printed."""
        return [line for line in self.log(process_id).splitlines() if not line.startswith("ColonyOS: ")]

    def verdict(self, process_id: str) -> dict[str, Any]:
        """Return the outcome that was attached to the process."""
        found: dict[str, Any] = json.loads(self.outcome(process_id)["outcome"])
        return found

    def outcome(self, process_id: str) -> dict[str, str]:
        """Return the attributes of the process."""
        return {attribute.key: attribute.value for attribute in self.process(process_id).attributes}


@attrs.define(eq=False)
class DaemonProgram:
    """A daemon as a program of its own, with a state directory that outlives it.

    Attributes:
        colony: Whose processes it takes.
        folder: Its state directory.
        backend: Where it runs them.
        options: Its settings, each as ``path=value``.
        name: Its name.
        port: Where it finds the server; 0 is the colony's own port.
        approves: It is given the key of the colony's owner, so that it can add itself.
    """

    colony: Colony
    folder: Path
    backend: str = "process"
    options: tuple[str, ...] = ("backends.process.allow_host_execution=true",)
    name: str = "tester"
    port: int = 0
    approves: bool = True
    _program: subprocess.Popen[bytes] | None = None

    @property
    def program(self) -> subprocess.Popen[bytes]:
        """The running program."""
        assert self._program is not None, "start the daemon first"
        return self._program

    def start(self, *, kill: str = "", **variables: str) -> None:
        """Start it; *kill* is what ``CE_KILL`` takes."""
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, str(PROGRAM), "run", "--backend", self.backend, "--state-dir", str(self.folder)]
        command += [part for option in self.options for part in ("-o", option)]
        environment = {
            **os.environ,
            "CE_KILL": kill,
            "COLONIES_SERVER_HOST": "127.0.0.1",
            "COLONIES_SERVER_PORT": str(self.port or self.colony.port),
            "COLONIES_TLS": "false",
            "COLONIES_COLONY_NAME": self.colony.name,
            "COLONIES_COLONY_PRVKEY": self.colony.owner.key if self.approves else "",
            "COLONIES_EXECUTOR_NAME": self.name,
            "CONTAINER_EXECUTOR_EXECUTOR_HEALTH_PORT": "0",
            "CONTAINER_EXECUTOR_EXECUTOR_POLL_TIMEOUT": "2s",
            **variables,
        }
        with (self.folder / "log").open("ab") as log:
            self._program = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def signal(self, number: int) -> None:
        """Send a signal."""
        self.program.send_signal(number)

    def kill(self) -> None:
        """End it with SIGKILL."""
        self.program.kill()
        self.program.wait(PATIENCE)

    def wait(self, patience: float = PATIENCE) -> int:
        """Return its exit code once it has ended."""
        return self.program.wait(patience)

    def alive(self) -> bool:
        """Return whether it runs."""
        return self.program.poll() is None

    def end(self, patience: float = 30) -> None:
        """End it and its jobs, whatever state it is in."""
        if self._program is None or not self.alive():
            return
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        for seconds in (1.0, patience):  # two signals at once would be one
            try:
                self.wait(seconds)
            except subprocess.TimeoutExpired:
                self.signal(signal.SIGTERM if seconds < patience else signal.SIGKILL)
        self.wait()

    def idle(self) -> bool:
        """Return whether the process backend has nothing of a job of its own left."""
        return not list((self.folder / "process").glob("*/ce-*"))

    def weight(self) -> tuple[int, int]:
        """Return its resident memory in bytes and its number of threads (proc(5), status)."""
        text = Path(f"/proc/{self.program.pid}/status").read_text()
        found = dict(re.findall(r"^(VmRSS|Threads):\s+(\d+)", text, re.MULTILINE))
        return int(found["VmRSS"]) * 1024, int(found["Threads"])

    def health(self) -> dict[str, Any]:
        """Return what its health endpoint says."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._health_port()}/healthz", timeout=5) as answer:
                found: dict[str, Any] = json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                found = json.load(error)
        return found

    def metrics(self) -> dict[str, float]:
        """Return what its metrics endpoint says, by name and labels as they stand there."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self._health_port()}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        return {name: float(value) for name, value in pairs}

    def _health_port(self) -> str:
        (port,) = re.findall(r'"health": (\d+)', self.log())[-1:]
        return str(port)

    def log(self) -> str:
        """Return what it has logged."""
        return (self.folder / "log").read_text()
