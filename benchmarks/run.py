"""Runs the benchmarks that can run here, prints one table, and writes it to docs/performance.md with machine and date.

``run.py`` runs all of them, ``run.py NAME...`` those named: ``start`` is ``bench_start.py``, and so on. On the page each part keeps
the figures of its last run. One that needs an engine which is not up is left out.
"""

import importlib
import json
import os
import platform
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from compiled import compile_all

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
PARTS = {
    "daemon": "The daemon, with programs on this host",
    "docker": "Jobs on Docker",
    "cfs": "Synchronising directories with an S3 store, beside rclone",
    "server": "The embedded server, each call on the disk before its answer",
    "start": "Starting the program",
    "funcspec": "Function specs",
}
NEEDS = {"docker": ("docker", "CE_DOCKER_HOST"), "cfs": ("minio", "CE_S3_ENDPOINT")}
"""The engine, and the variable that says where it is, for the parts that need one."""
PROGRAMS = {"cfs": "rclone"}
"""The program that a part compares us with."""
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
        print(f"{row['name']:80} {row['value']!s:>24} {row['unit']:12} target {row['target']}", flush=True)
    return rows


def can_run(name: str) -> bool:
    engine, variable = NEEDS.get(name, ("", ""))
    program = PROGRAMS.get(name, "")
    if variable and not os.environ.get(variable):
        print(f"{name}: left out, {variable} is not set; bring the engine up with `nox -s engines -- up {engine}`")
    elif program and not shutil.which(program):
        print(f"{name}: left out, there is no program {program} on PATH")
    else:
        return True
    return False


def section(name: str, about: str, seconds: float, rows: Sequence[Row]) -> str:
    """Return what the page says of one part; its module's ``NOTE``, if any, explains the figures."""
    note = getattr(importlib.import_module(f"bench_{name}"), "NOTE", "")
    when = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {seconds:.0f} s. {about}."
    return "\n\n".join(part for part in (f"## {PARTS[name]}", when, table(rows), note.strip()) if part)


def written() -> Iterator[tuple[str, str]]:
    """Yield the parts that are on the page already, by name."""
    names = {title: name for name, title in PARTS.items()}
    for part in PAGE.read_text().split("\n## ")[1:] if PAGE.exists() else ():
        title = part.partition("\n")[0]
        if title in names:
            yield names[title], f"## {part.strip()}"


def main() -> None:
    compile_all()
    names = [name for name in sys.argv[1:] or PARTS if can_run(name)]
    found, sections = dict[str, list[Row]](), dict(written())
    for name in names:
        about, begun = machine(), time.monotonic()
        print(f"{PARTS[name]}: {about}", flush=True)
        found[name] = measure(name)
        sections[name] = section(name, about, time.monotonic() - begun, found[name])
        PAGE.write_text("\n\n".join([HEAD.rstrip(), *(sections[each] for each in PARTS if each in sections)]) + "\n")
    print(json.dumps({"machine": machine(), "rows": [row for rows in found.values() for row in rows]}))


if __name__ == "__main__":
    main()
