"""What the daemon costs with programs on this host: time after the end of a job, processor, memory and threads with many live jobs."""

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from anyio.from_thread import start_blocking_portal

sys.path.append(str(Path(__file__).parents[1] / "tests" / "support"))

from colonies import Colony, DaemonProgram, wait_for
from figures import p95

ENDS = 40
SHORT = 200
LIVE = (300, 1000)
IDLE_SECONDS = 30.0

Row = dict[str, Any]


@contextmanager
def running(**settings: Any) -> Iterator[tuple[Colony, DaemonProgram]]:
    """A server in this program and a daemon in one of its own, with the fields of a DaemonProgram that are given."""
    with tempfile.TemporaryDirectory() as name, start_blocking_portal() as portal:
        folder = Path(name)
        colony = Colony(folder, portal)
        colony.start()
        daemon = DaemonProgram(colony, folder / "state", **settings)
        daemon.start()
        try:
            wait_for(lambda: '"running"' in daemon.log(), "the daemon")
            yield colony, daemon
        finally:
            daemon.end()
            colony.stop()


def processor(daemon: DaemonProgram) -> float:
    """Return the processor seconds that the daemon has used."""
    fields = Path(f"/proc/{daemon.program.pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def close_delays(colony: Colony) -> list[float]:
    """Return milliseconds from the end of a job's program to the server's time of the accepted close."""
    delays = []
    for _ in range(ENDS):
        process_id = colony.submit("sleep 0.2")
        ended = colony.wait(process_id).ended
        told = json.loads(colony.outcome(process_id)["outcome"])["ended"]
        assert ended is not None
        delays.append(1000 * (ended - datetime.fromisoformat(told)).total_seconds())
    return delays


def end_rows() -> list[Row]:
    with running() as (colony, _daemon):
        close_delays(colony)
        delays = close_delays(colony)
    name = "end of a program to accepted close"
    return [
        {
            "name": f"{name}, median of {ENDS}",
            "value": round(statistics.median(delays), 1),
            "unit": "ms",
            "target": "<= 20",
        },
        {"name": f"{name}, 95 of 100", "value": round(p95(delays), 1), "unit": "ms", "target": "-"},
    ]


def short_rows() -> list[Row]:
    with running() as (colony, daemon):
        before, began = processor(daemon), time.monotonic()
        ids = [colony.submit("true") for _ in range(SHORT)]
        for process_id in ids:
            colony.wait(process_id, patience=300)
        used, took = processor(daemon) - before, time.monotonic() - began
    return [
        {
            "name": f"processor time per job, {SHORT} short jobs",
            "value": round(1000 * used / SHORT, 1),
            "unit": "ms",
            "target": "<= 25",
        },
        {
            "name": f"{SHORT} short jobs, first submit to last close",
            "value": round(SHORT / took, 1),
            "unit": "1/s",
            "target": "-",
        },
    ]


def live_rows() -> list[Row]:
    """Rows about a daemon with many sleepers: the first lot first, then more beside them."""
    rows: list[Row] = []
    with running() as (colony, daemon):
        submitted = 0
        for count, limit in zip(LIVE, (120, 200), strict=True):
            for _ in range(count - submitted):
                colony.submit("exec sleep 3600", maxexectime=7200)
            submitted = count
            wait_for(partial(_launched, daemon, count), f"{count} live jobs", 600)
            time.sleep(
                60
            )  # what their starts still cost is not idle cost: readers of silent jobs ask ever more rarely, up to 30 s
            rows += _idle_rows(daemon, count, limit)
        rows.append(_lag_row(daemon.metrics(), submitted))
        daemon.end(patience=300)
    return rows


def _lag_row(metrics: dict[str, float], jobs: int) -> Row:
    """Return how late the event loop was in 99 of 100 seconds, as the upper end of a bucket of the daemon's own histogram."""
    prefix = 'container_executor_loop_lag_seconds_bucket{le="'
    buckets = {float(name[len(prefix) : -2]): count for name, count in metrics.items() if name.startswith(prefix)}
    enough = 0.99 * max(buckets.values())
    return {
        "name": f"event loop late, 99 of 100 seconds, while {jobs} jobs start and live",
        "value": 1000 * min(bound for bound, count in buckets.items() if count >= enough),
        "unit": "ms at most",
        "target": "<= 200",
    }


def _launched(daemon: DaemonProgram, count: int) -> bool:
    return len(list((daemon.folder / "process").glob("*/ce-*/running.json"))) >= count


def _idle_rows(daemon: DaemonProgram, count: int, limit: int) -> list[Row]:
    before = processor(daemon)
    time.sleep(IDLE_SECONDS)
    used = 100 * (processor(daemon) - before) / IDLE_SECONDS
    memory, threads = daemon.weight()
    return [
        {
            "name": f"memory with {count} live jobs",
            "value": round(memory / 2**20),
            "unit": "MB",
            "target": f"<= {limit}",
        },
        {"name": f"threads with {count} live jobs", "value": threads, "unit": "", "target": "<= 20"},
        {
            "name": f"idle processor with {count} live jobs",
            "value": round(used, 2),
            "unit": "% of a core",
            "target": "<= 3" if count == LIVE[-1] else "-",
        },
    ]


def run() -> list[Row]:
    """Return the rows of the table; takes some minutes."""
    parts: list[Callable[[], list[Row]]] = [end_rows, short_rows, live_rows]
    return [row for part in parts for row in part()]


def main() -> None:
    print(f"daemon with programs on this host, {os.cpu_count()} processors, Python {sys.version.split()[0]}")
    for row in run():
        print(f"{row['name']:60} {row['value']:>8} {row['unit']:12} target {row['target']}")


if __name__ == "__main__":
    main()
