"""A running embedded server with a colony, a user and two executors, and raw calls to it."""

import asyncio
import base64
import hashlib
import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Self, TypeVar

import attrs
import pytest

from container_executor.client.signing import Identity
from container_executor.server import Server
from container_executor.testing.bench import wait_for

T = TypeVar("T")

COLONY = "town"
KIND = "builder"
PATIENCE = 30.0
SIGNERS = ("server", "owner", "user", "e1", "e2", "stranger")


class RefusedError(Exception):
    """The server said no."""

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        self.message = message
        super().__init__(f"{status} {message}")


def identity(name: str) -> Identity:
    """Return the key of a signer; the same in every run."""
    return Identity(hashlib.sha256(b"town " + name.encode()).hexdigest())


def envelope(signer: Identity, msgtype: str, fields: dict[str, Any]) -> bytes:
    """Return the body of a call."""
    payload = base64.b64encode(json.dumps({"msgtype": msgtype, **fields}).encode())
    signed = {"payloadtype": msgtype, "payload": payload.decode(), "signature": signer.sign(payload)}
    return json.dumps(signed).encode()


@attrs.define(eq=False)
class Town:
    """Calls a server at a port as several people."""

    port: int
    keys: dict[str, Identity] = attrs.field(factory=lambda: {name: identity(name) for name in SIGNERS})

    def post(self, body: bytes, path: str = "/api", method: str = "POST") -> tuple[int, bytes]:
        """Send a request as it is; return status and body."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def raw(self, who: str, msgtype: str, **fields: Any) -> tuple[int, dict[str, Any], Any]:
        """Call; return the status, the envelope and what is in it."""
        status, body = self.post(envelope(self.keys[who], msgtype, fields))
        outer = json.loads(body)
        return status, outer, json.loads(base64.b64decode(outer["payload"]))

    def call(self, who: str, msgtype: str, **fields: Any) -> Any:
        """Call and return the answer; a no is raised."""
        status, outer, found = self.raw(who, msgtype, **fields)
        if outer["error"]:
            assert status == found["status"], "the status in the body is that of HTTP"
            raise RefusedError(status, found["message"])
        return found

    def refused(self, who: str, msgtype: str, **fields: Any) -> tuple[int, str]:
        """Call, expect a no, and return it."""
        try:
            answer = self.call(who, msgtype, **fields)
        except RefusedError as no:
            return no.status, no.message
        raise AssertionError(f"{msgtype} was answered {answer}")

    def submit(self, conditions: dict[str, Any] | None = None, **spec: Any) -> str:
        """Queue a process and return its id."""
        where = {"colonyname": COLONY, "executortype": KIND, **(conditions or {})}
        answer = self.call("user", "submitfuncspecmsg", spec={"maxexectime": 60, **spec, "conditions": where})
        processid: str = answer["processid"]
        return processid

    def assign(self, who: str = "e1", timeout: int = -1, **offer: Any) -> str | None:
        """Ask for work and return the id of the process, or None."""
        try:
            processid: str = self.call(who, "assignprocessmsg", colonyname=COLONY, timeout=timeout, **offer)[
                "processid"
            ]
        except RefusedError as no:
            if no.status == 404:
                return None
            raise
        return processid

    def process(self, processid: str) -> dict[str, Any]:
        """Return a process."""
        found: dict[str, Any] = self.call("user", "getprocessmsg", processid=processid)
        return found

    def state(self, processid: str) -> int:
        """Return the state of a process."""
        state: int = self.process(processid)["state"]
        return state

    def close(self, processid: str, who: str = "e1", out: list[Any] | None = None) -> None:
        """End a process well."""
        self.call(who, "closesuccessfulmsg", processid=processid, out=out or [])

    def eventually(self, condition: Callable[[], bool], what: str) -> None:
        """Wait until *condition* holds."""
        wait_for(condition, timedelta(seconds=PATIENCE), what)

    def add_executor(self, name: str, **over: Any) -> None:
        """Add and approve the executor whose key has its name."""
        fields = {"executorid": self.keys[name].id, "executorname": name, "executortype": KIND, "colonyname": COLONY}
        self.call("owner", "addexecutormsg", executor={**fields, **over})
        self.call("owner", "approveexecutormsg", colonyname=COLONY, executorname=over.get("executorname", name))

    def settle(self) -> Self:
        """Make the colony with its people."""
        self.call("server", "addcolonymsg", colony={"colonyid": self.keys["owner"].id, "name": COLONY})
        user = {"colonyname": COLONY, "userid": self.keys["user"].id, "name": "alice", "email": "", "phone": ""}
        self.call("owner", "addusermsg", user=user)
        self.add_executor("e1")
        self.add_executor("e2")
        return self


@attrs.define(eq=False)
class Running:
    """A server in a thread of this program."""

    server: Server
    loop: asyncio.AbstractEventLoop
    town: Town

    def on_loop(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the server's loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(PATIENCE)


@contextmanager
def running(path: Path, **settings: Any) -> Iterator[Running]:
    """Run a server on a database until the block ends."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        server = Server(path, server_id=identity("server").id, **settings)
        asyncio.run_coroutine_threadsafe(server.__aenter__(), loop).result(PATIENCE)
        try:
            yield Running(server, loop, Town(server.port))
        finally:
            asyncio.run_coroutine_threadsafe(server.__aexit__(None, None, None), loop).result(PATIENCE)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    """A colony on a server of its own."""
    with running(tmp_path / "db", durability="normal") as found:
        yield found.town.settle()


@pytest.fixture(scope="module")
def shared_town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """A colony that the tests of a module share."""
    with running(tmp_path_factory.mktemp("shared") / "db", durability="normal") as found:
        yield found.town.settle()


@pytest.fixture
def start() -> Callable[..., Any]:
    """Return :func:`running`: a server with settings of one's own."""
    return running


@pytest.fixture
def town_at() -> Callable[[int], Town]:
    """Return the people of the colony, for a server at a port."""
    return Town


@pytest.fixture(scope="module")
def shared_start() -> Callable[..., Any]:
    """Return :func:`running` for fixtures of a module."""
    return running


PROGRAM = """
import asyncio, sys
from pathlib import Path
from container_executor.server import Server, serve
server = Server(Path(sys.argv[1]), server_id=sys.argv[2], port=int(sys.argv[3]))
asyncio.run(serve(server, lambda server: print(server.port, flush=True)))
"""


@attrs.define(eq=False)
class Program:
    """A server as a program of its own, which can be killed."""

    path: Path
    process: subprocess.Popen[str] | None = None
    port: int = 0

    def start(self) -> int:
        """Start it, on the same port as before, and return the port."""
        argv = [sys.executable, "-c", PROGRAM, str(self.path), identity("server").id, str(self.port)]
        self.process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())
        return self.port

    def end(self, number: int = signal.SIGKILL) -> int:
        """Send a signal and wait for the end."""
        assert self.process is not None
        self.process.send_signal(number)
        code = self.process.wait(PATIENCE)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    """A server that is not started yet."""
    found = Program(tmp_path / "db")
    yield found
    if found.process is not None and found.process.returncode is None:
        found.end()


@pytest.fixture
def connect() -> Iterator[Callable[[int], socket.socket]]:
    """Open plain connections, closed at the end of the test."""
    opened: list[socket.socket] = []

    def open_one(port: int) -> socket.socket:
        opened.append(socket.create_connection(("127.0.0.1", port), timeout=PATIENCE))
        return opened[-1]

    yield open_one
    for each in opened:
        each.close()
