"""How many calls the embedded server answers, each on the disk before its answer, with eight client programs at once."""

import json
import multiprocessing
import os
import socket
import sys
import tempfile
import time
from base64 import b64decode, b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

from container_executor.client.signing import Identity
from container_executor.server import Server, serve

CLIENTS = 8
SECONDS = 2.0
COLONY = "bench"
MESSAGE = "x" * 99 + "\n"

REAL_CYCLES = 74
REAL_LOGS = 465
"""Calls a second of the Colonies server v1.9.12 on PostgreSQL 15, eight clients, measured on the same kind of machine."""

Row = dict[str, Any]


class Caller:
    """A client as lean as possible, on one connection: what is measured is the server."""

    def __init__(self, port: int, key: str) -> None:
        self._identity = Identity(key)
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._answers = self._socket.makefile("rb")

    def __call__(self, msgtype: str, **fields: Any) -> Any:
        payload = b64encode(json.dumps({"msgtype": msgtype, **fields}).encode())
        signature = self._identity.sign(payload)
        body = f'{{"payloadtype":"{msgtype}","payload":"{payload.decode()}","signature":"{signature}"}}'
        self._socket.sendall(f"POST /api HTTP/1.1\r\nHost: bench\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        answer = json.loads(self._body())
        found = json.loads(b64decode(answer["payload"]))
        if answer["error"]:
            raise RuntimeError(f"{msgtype}: {found['message']}")
        return found

    def _body(self) -> bytes:
        length = 0
        while (line := self._answers.readline().lower()) not in (b"\r\n", b""):
            if line.startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        return self._answers.read(length)


def cycle(call: Caller, _processid: str, kind: str) -> None:
    conditions = {"colonyname": COLONY, "executortype": kind, "cpu": "100m", "mem": "10Mi"}
    spec = {"funcname": "execute", "kwargs": {"cmd": "true"}, "maxexectime": 600, "conditions": conditions}
    call("submitfuncspecmsg", spec=spec)
    process = call("assignprocessmsg", colonyname=COLONY, timeout=10)
    call("closesuccessfulmsg", processid=process["processid"], out=[])


def log(call: Caller, processid: str, _kind: str) -> None:
    call("addlogmsg", processid=processid, message=MESSAGE)


def client(port: int, key: str, kind: str, work: Callable[[Caller, str, str], None], done: Any) -> None:
    call = Caller(port, key)
    conditions = {"colonyname": COLONY, "executortype": kind}
    call("submitfuncspecmsg", spec={"funcname": "execute", "maxexectime": 600, "conditions": conditions})
    processid = call("assignprocessmsg", colonyname=COLONY, timeout=10)["processid"]
    done.put(None)  # ready
    end = time.monotonic() + SECONDS + 0.5
    begin = end - SECONDS
    count = 0
    while (now := time.monotonic()) < end:
        work(call, processid, kind)
        count += now > begin
    done.put(count / SECONDS)
    call("closesuccessfulmsg", processid=processid, out=[])


def server_program(folder: str, ready: Any, server_id: str) -> None:
    import asyncio  # noqa: PLC0415 - in the program of the server

    asyncio.run(serve(Server(Path(folder), server_id=server_id), lambda server: ready.put(server.port)))


def prepare(port: int, server: Identity) -> list[tuple[str, str]]:
    """Make a colony with an executor for each client; return (key, type) of each."""
    owner = Identity.new()
    Caller(port, server.key)("addcolonymsg", colony={"colonyid": owner.id, "name": COLONY})
    call = Caller(port, owner.key)
    found = []
    for number in range(CLIENTS):
        executor, name = Identity.new(), f"executor-{number}"
        fields = {"executorid": executor.id, "executorname": name, "executortype": name, "colonyname": COLONY}
        call("addexecutormsg", executor=fields)
        call("approveexecutormsg", colonyname=COLONY, executorname=name)
        found.append((executor.key, name))
    return found


def measure(port: int, clients: list[tuple[str, str]], work: Callable[[Caller, str, str], None]) -> float:
    """Return how often a second all clients together did the work."""
    done: Any = multiprocessing.Queue()
    programs = [multiprocessing.Process(target=client, args=(port, *each, work, done)) for each in clients]
    for program in programs:
        program.start()
    rates = [done.get(timeout=60) for _ in range(2 * len(programs))]
    for program in programs:
        program.join()
    return float(sum(rate for rate in rates if rate is not None))


def run() -> list[Row]:
    """Return the rows of the table; takes some seconds."""
    server = Identity.new()
    with tempfile.TemporaryDirectory() as folder:
        ready: Any = multiprocessing.Queue()
        program = multiprocessing.Process(target=server_program, args=(folder, ready, server.id))
        program.start()
        try:
            port = ready.get(timeout=30)
            clients = prepare(port, server)
            cycles = measure(port, clients, cycle)
            logs = measure(port, clients, log)
        finally:
            program.terminate()
            program.join()
    return [
        {
            "name": "submit + assign + close, 8 clients",
            "value": round(cycles),
            "unit": "1/s",
            "target": f">= {5 * REAL_CYCLES}",
        },
        {
            "name": "addlog of 100 bytes, 8 clients",
            "value": round(logs),
            "unit": "1/s",
            "target": f">= {3 * REAL_LOGS}",
        },
    ]


def main() -> None:
    print(f"embedded server, durable, {os.cpu_count()} processors, Python {sys.version.split()[0]}")
    for row in run():
        print(f"{row['name']:40} {row['value']:>8} {row['unit']:6} target {row['target']}")


if __name__ == "__main__":
    main()
