"""How long it takes to read a function spec, to make a job of it, and to render the job for each backend."""

import gc
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from container_executor import registry
from container_executor.backend import Backend
from container_executor.errors import ContainerExecutorError
from container_executor.funcspec import make_job, parse_text, to_wire, validate
from container_executor.models import JobSpec, Mark

SPECS = 10_000
RENDERED = 1_000
ROUNDS = 5
EXAMPLES = Path(__file__).parents[1] / "examples" / "specs"
OWNER = "0123456789abcdef"
MARK = Mark(OWNER, "bench", "ab" * 32)

Row = dict[str, Any]


def best(*actions: Callable[[], object]) -> list[float]:
    """Return the processor seconds of the fastest run of each action: what others do on the machine only makes a run slower.

    The actions take turns, so that a slow moment of the machine is one of all of them.
    """
    times: list[list[float]] = [[] for _ in actions]
    for _ in range(ROUNDS):
        for action, taken in zip(actions, times, strict=True):
            gc.collect()
            started = time.process_time()
            action()
            taken.append(time.process_time() - started)
    return [min(taken) for taken in times]


def each(name: str, action: Callable[[Any], object], values: Sequence[Any]) -> list[Row]:
    """Rows for one action on many values: milliseconds each, and how much more the second half makes the whole."""

    def apply(values: Sequence[Any]) -> None:
        for value in values:
            action(value)

    whole, half = best(lambda: apply(values), lambda: apply(values[: len(values) // 2]))
    return [
        {"name": name, "value": round(whole / len(values) * 1000, 3), "unit": "ms", "target": "<= 1"},
        {
            "name": f"{name}, {len(values)} beside half",
            "value": round(whole / half, 2),
            "unit": "x",
            "target": "<= 2.3",
        },
    ]


def large(count: int) -> str:
    """A spec with many arguments, variables and directories."""
    return json.dumps(
        {
            "funcname": "execute",
            "conditions": {"executortype": "container-executor"},
            "kwargs": {"docker-image": "busybox", "cmd": "echo", "args": ["{processid}"] * count},
            "env": {f"A{i}": "value" for i in range(count)},
            "fs": {"mount": "/cfs", "dirs": [{"label": f"/l{i}", "dir": f"/d{i}"} for i in range(count)]},
        }
    )


def render_rows(jobs: Sequence[JobSpec]) -> list[Row]:
    """Rows of every backend whose SDK is installed."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        for name in registry.names():
            try:
                backend = registry.open_backend(name, owner=OWNER, directory=Path(folder), dev=True)
                rows += each(f"render a job for {name}", partial(render, backend), jobs)
            except ContainerExecutorError as error:
                print(f"{name} renders nothing here: {error}", file=sys.stderr)
    return rows


def render(backend: Backend, job: JobSpec) -> str:
    return backend.plan(job).render()


def run() -> list[Row]:
    """Return the rows of the table; takes a minute."""
    examples = [path.read_text() for path in sorted(EXAMPLES.glob("*.json"))]
    texts = [examples[i % len(examples)] for i in range(SPECS)]
    specs = [parse_text(text).spec for text in texts]
    runnable = [spec for spec in specs if spec.funcname == "execute" and not (spec.fs and spec.fs.snapshots)]
    jobs = [make_job(spec, MARK) for spec in runnable if not spec.fs and not spec.conditions.gpu.count][:RENDERED]
    small, double = large(20_000), large(40_000)
    small_time, double_time = best(lambda: parse_text(small), lambda: parse_text(double))
    return [
        *each("parse a spec", parse_text, texts),
        *each("validate a spec", validate, runnable),
        *each("make a job", lambda spec: make_job(spec, MARK), runnable),
        *each("write a spec for the server", to_wire, specs),
        {
            "name": f"parse one spec of {len(double) / 1e6:.1f} MB, beside one of half the size",
            "value": round(double_time / small_time, 2),
            "unit": "x",
            "target": "<= 2.3",
        },
        *render_rows(jobs),
    ]


def main() -> None:
    print(f"function specs, {os.cpu_count()} processors, Python {sys.version.split()[0]}")
    for row in run():
        print(f"{row['name']:60} {row['value']:>8} {row['unit']:4} target {row['target']}")


if __name__ == "__main__":
    main()
