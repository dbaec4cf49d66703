"""Jobs on Docker, from submit to success at an embedded server, beside the engine's own SDK and command for the same, in turns."""

import os
import re
import secrets
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import docker
from bench_daemon import processor, running
from colonies import Colony, DaemonProgram, wait_for
from figures import p95

from container_executor.client import Process, ProcessState

IMAGE = "busybox:latest"
ONE_BY_ONE = 20
AT_ONCE = 100
ROUNDS_AT_ONCE = 2
THREADS = (4, 8, 16)
"""Threads of the SDK that are tried for jobs at once; the best counts."""
LINES = {100_000: 3, 800_000: 2}
"""How often a job of so many lines is measured."""
GO_LINES = 275
"""Lines a second of the Go executor that this program replaces, which makes a call for each."""
NANO = 1e9
NOTE = """
A job takes four calls of the engine (create, start, an inspect after its end, remove), a stream of output and its share of a list.
Of 100 at once both processors are busy all the time, some 0.42 s of them for each job of the SDK alone. Our daemon adds 0.03 s, our
server and the program that submits as much again: the ratio cannot be 0.95 on two processors. More calls at once do not help: the
daemon has six under way, and 8 or 10 were no faster. Of the time from `die` to the close on a bridge, 52 ms are dockerd's answer to the
first inspect, which waits until the network is taken down (11 ms on `none`). 800,000 short lines cost dockerd and the daemon about 8 s of processor each, and `docker logs`
3 s, so that the ratio of their times is worse where other programs want the processors.

Docker 29.7.2 with containerd 2.3.4 (2026-11-22, nothing else running) is faster at ends: close after `die` 13 ms on a bridge and 11 on `none`, 24.1 ms of
processor per job. One at a time 1.15 and 1.14 x; 100 at once 5.61 of the SDK's 6.6 a second, 0.85 x; 100,000 lines 1.56 x, 800,000 lines 2.32 x.
"""
"""Where the time goes, by counting calls and processor seconds (2026-11-21)."""

Row = dict[str, Any]


@attrs.define(eq=False)
class Site:
    """A daemon with the docker backend, and the engine as others see it.

    Attributes:
        colony: Where jobs are submitted.
        daemon: Who runs them.
        api: The engine's SDK.
        owner: The mark of our containers.
        network: How containers of both sides are connected.
        died: When our containers ended by the engine's events, in seconds since 1970, by process.
    """

    colony: Colony
    daemon: DaemonProgram
    api: Any
    owner: str
    network: str
    died: dict[str, float] = attrs.field(factory=dict)

    def run(self, *command: str) -> Process:
        """Run a job and return its process, once nothing of it is left on the engine."""
        process = self.colony.wait(self.colony.submit(*command, image=IMAGE), patience=300)
        assert process.state is ProcessState.SUCCESS, process.errors
        self.wait_until_clean()
        return process

    def wait_until_clean(self) -> None:
        wait_for(lambda: not self.ours(), "the removal of our containers", 300)

    def ours(self) -> Sequence[Any]:
        filters = {"label": f"container-executor.owner={self.owner}"}
        found: Sequence[Any] = self.api.containers(all=True, filters=filters)
        return found

    def raw(self, command: Sequence[str], api: Any = None) -> float:
        """Return the seconds that the SDK takes for one container, from its creation to its removal."""
        api, began = api or self.api, time.perf_counter()
        container = self.create(command, api)
        api.start(container)
        assert api.wait(container)["StatusCode"] == 0
        assert api.logs(container) == b"hi\n"
        api.remove_container(container)
        return time.perf_counter() - began

    def create(self, command: Sequence[str], api: Any) -> str:
        limits = api.create_host_config(network_mode=self.network)
        return str(api.create_container(IMAGE, list(command), host_config=limits)["Id"])

    def peak(self) -> float:
        """Return the most memory that the daemon has had, in MB (proc(5), status)."""
        text = Path(f"/proc/{self.daemon.program.pid}/status").read_text()
        return int(re.findall(r"^VmHWM:\s+(\d+)", text, re.MULTILINE)[0]) / 1024

    def listen(self) -> None:
        """Note when our containers end, until the program does."""
        filters = {"event": ["die"], "label": [f"container-executor.owner={self.owner}"]}
        with connect() as api:
            for event in api.events(decode=True, filters=filters):
                process_id = event["Actor"]["Attributes"]["container-executor.process_id"]
                self.died[process_id] = event["timeNano"] / NANO


def connect() -> Any:
    return docker.APIClient(base_url=os.environ["CE_DOCKER_HOST"], version="auto", timeout=300)


@contextmanager
def site(network: str) -> Iterator[Site]:
    owner = secrets.token_hex(8)
    settings = {"host": os.environ["CE_DOCKER_HOST"], "user": "65534:65534", "network": network}
    options = [f"backends.docker.{name}={value}" for name, value in settings.items()]
    with running(backend="docker", options=(*options, f"executor.owner={owner}")) as (colony, daemon), connect() as api:
        place = Site(colony, daemon, api, owner, network)
        threading.Thread(target=place.listen, daemon=True).start()
        place.run("echo", "hi")  # connections are open and the image is known
        place.raw(["echo", "hi"])
        yield place


def seconds(process: Process) -> float:
    """Return the seconds from submit to close, by the server."""
    assert process.submitted is not None
    assert process.ended is not None
    return (process.ended - process.submitted).total_seconds()


def row(name: str, value: float, unit: str, target: str = "-", digits: int = 2) -> Row:
    return {"name": name, "value": round(value, digits), "unit": unit, "target": target}


def spread(times: Sequence[float]) -> str:
    """Return median and 95 of 100, in milliseconds."""
    return f"{1000 * statistics.median(times):.0f} (95 of 100: {1000 * p95(times):.0f})"


# --- one at a time ----------------------------------------------------------------------------------------------------


def single_rows(network: str) -> list[Row]:
    ours, raw, late = [], [], []
    with site(network) as place:
        for _ in range(ONE_BY_ONE):
            process = place.run("echo", "hi")
            ours.append(seconds(process))
            assert process.ended is not None
            late.append(process.ended.timestamp() - place.died[process.id])
            raw.append(place.raw(["echo", "hi"]))
    ratio = statistics.median(ours) / statistics.median(raw)
    name = f"`echo hi`, {ONE_BY_ONE} one at a time, network {network}"
    return [
        {"name": f"{name}: submit to success", "value": spread(ours), "unit": "ms", "target": "-"},
        {"name": f"{name}: SDK, create to removal", "value": spread(raw), "unit": "ms", "target": "-"},
        row(f"{name}: ours beside the SDK", ratio, "x", "<= 1.15"),
        {"name": f"{name}: close after the `die` event", "value": spread(late), "unit": "ms", "target": "<= 60"},
    ]


# --- at once ----------------------------------------------------------------------------------------------------------


def many(place: Site) -> float:
    """Return jobs a second from the first submit until nothing is left of the last."""
    wanted, began = successes(place) + AT_ONCE, time.perf_counter()
    for _ in range(AT_ONCE):
        place.colony.submit("echo", "hi", image=IMAGE)
    wait_for(lambda: successes(place) >= wanted, "the success of all", 600)
    place.wait_until_clean()
    return AT_ONCE / (time.perf_counter() - began)


def successes(place: Site) -> int:
    return int(place.colony.call(place.colony.client.statistics).successful_processes)


def many_raw(place: Site, threads: int) -> float:
    began = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool, connect() as api:
        list(pool.map(lambda _: place.raw(["echo", "hi"], api), range(AT_ONCE)))
    return AT_ONCE / (time.perf_counter() - began)


def many_rows(network: str) -> list[Row]:
    rates: dict[str, list[float]] = defaultdict(list)
    used = 0.0
    with site(network) as place:
        for _ in range(ROUNDS_AT_ONCE):
            before = processor(place.daemon)
            rates["ours"].append(many(place))
            used += processor(place.daemon) - before
            for threads in THREADS:
                rates[f"{threads} threads"].append(many_raw(place, threads))
        memory = place.peak()
    ours = statistics.mean(rates.pop("ours"))
    best, raw = max(((each, statistics.mean(rates[each])) for each in rates), key=lambda found: found[1])
    name = f"{AT_ONCE} `echo hi` at once, network {network}"
    return [
        row(f"{name}: first submit until nothing is left", ours, "1/s"),
        row(f"{name}: SDK, {best}", raw, "1/s"),
        row(f"{name}: ours beside the SDK", ours / raw, "x", ">= 0.95"),
        row(f"{name}: processor time of the daemon per job", 1000 * used / ROUNDS_AT_ONCE / AT_ONCE, "ms", "<= 25", 1),
        row(f"{name}: peak memory of the daemon", memory, "MB", "<= 120", 0),
    ]


# --- output -----------------------------------------------------------------------------------------------------------


def output(place: Site, count: int) -> float:
    """Return the seconds from submit to close of a job with so many lines, all of which the server then has."""
    process = place.run("seq", "1", str(count))
    lines = place.colony.output(process.id)
    assert lines == [str(number) for number in range(1, count + 1)], f"{len(lines)} lines of {count}"
    return seconds(process)


def output_raw(place: Site, count: int) -> tuple[float, int]:
    """Return the seconds from creation until `docker logs -f > file` has ended, and how many lines it lost.

    It stops following when the container has ended, whether it has read everything or not (dockerd 20.10).
    """
    began = time.perf_counter()
    container = place.create(["seq", "1", str(count)], place.api)
    place.api.start(container)
    with tempfile.TemporaryFile() as file:
        command = ["docker", "--host", os.environ["CE_DOCKER_HOST"], "logs", "-f", container]
        subprocess.run(command, stdout=file, check=True)
        took = time.perf_counter() - began
        file.seek(0)
        lost = count - sum(1 for _ in file)
    place.api.remove_container(container)
    return took, lost


def output_rows() -> list[Row]:
    rows = []
    with site("none") as place:
        for count, rounds in LINES.items():
            found = [(output(place, count), *output_raw(place, count)) for _ in range(rounds)]
            ours, raw, lost = (statistics.median(numbers) for numbers in zip(*found, strict=True))
            name = f"{count} lines, median of {rounds}"
            rows += [
                row(f"{name}: submit to success, all at the server", ours, "s"),
                row(f"{name}: `docker logs -f > file`, which lost {lost:.0f} of them", raw, "s"),
                row(f"{name}: ours beside `docker logs -f`", ours / raw, "x", "<= 2"),
                row(f"{name}: lines a second", count / ours, "1/s", f">= {100 * GO_LINES}", 0),
            ]
        rows.append(row("peak memory of the daemon with these", place.peak(), "MB", "-", 0))
    return rows


def run() -> list[Row]:
    """Return the rows of the table; takes some minutes."""
    parts: list[Callable[[], list[Row]]] = [
        partial(single_rows, "bridge"),
        partial(single_rows, "none"),
        partial(many_rows, "bridge"),
        output_rows,
    ]
    return [row for part in parts for row in part()]


def main() -> None:
    print(f"jobs on Docker, {os.cpu_count()} processors, Python {sys.version.split()[0]}")
    for each in run():
        print(f"{each['name']:80} {each['value']:>24} {each['unit']:6} target {each['target']}")


if __name__ == "__main__":
    main()
