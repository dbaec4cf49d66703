"""Runs the benchmarks that need no engine, prints one table, and writes it to docs/performance.md with machine and date.

``run.py`` runs all of them, ``run.py NAME...`` those named: ``start`` is ``bench_start.py``, and so on. Only a run of all of them
writes the page.
"""

import importlib
import json
import os
import platform
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
PARTS = {
    "daemon": "The daemon, with programs on this host",
    "server": "The embedded server, each call on the disk before its answer",
    "start": "Starting the program",
    "funcspec": "Function specs",
}
HEAD = """# Speed

Measured by `nox -s bench`, which writes this page. Absolute figures move with the machine and with what else runs on it; where
there is something to compare with, both are measured in the same run, in turns. No test depends on them.
"""

Row = dict[str, Any]


def machine() -> str:
    """Return a sentence about this machine and what else it is doing."""
    models = [
        line.partition(": ")[2] for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line
    ]
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return (
        f"{os.cpu_count()} processors ({models[0] if models else platform.machine()}), {memory:.0f} GiB, Linux {platform.release()}, "
        f"Python {platform.python_version()}; load average before the run {os.getloadavg()[0]:.1f}"
    )


def table(rows: Sequence[Row]) -> str:
    lines = ["| measure | value | target |", "| --- | ---: | --- |"]
    return "\n".join([*lines, *(f"| {row['name']} | {row['value']} {row['unit']} | {row['target']} |" for row in rows)])


def measure(name: str) -> list[Row]:
    module = importlib.import_module(f"bench_{name}")
    rows: list[Row] = module.run()
    for row in rows:
        print(f"{row['name']:64} {row['value']:>9} {row['unit']:12} target {row['target']}", flush=True)
    return rows


def main() -> None:
    names = sys.argv[1:] or list(PARTS)
    about, begun = machine(), time.monotonic()
    print(about, flush=True)
    found = {name: measure(name) for name in names}
    print(json.dumps({"machine": about, "rows": [row for rows in found.values() for row in rows]}))
    if list(found) == list(PARTS):
        when = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {time.monotonic() - begun:.0f} s"
        parts = [f"## {PARTS[name]}\n\n{table(rows)}" for name, rows in found.items()]
        PAGE.write_text("\n\n".join([HEAD.rstrip(), f"{when}. {about}.", *parts]) + "\n")


if __name__ == "__main__":
    main()
