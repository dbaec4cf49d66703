"""How long the program takes to start: its help, and a first job in development mode, beside a Python that does nothing."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROUNDS = 7
HELLO = Path(__file__).parents[1] / "examples" / "specs" / "hello.json"
PROGRAM = [sys.executable, "-m", "container_executor.cli"]

Row = dict[str, Any]


def seconds(command: list[str], **variables: str) -> float:
    """Return how long a command takes."""
    begun = time.perf_counter()
    subprocess.run(command, env={**os.environ, **variables}, stdin=subprocess.DEVNULL, capture_output=True, check=True)
    return time.perf_counter() - begun


def first_job() -> float:
    with tempfile.TemporaryDirectory() as state:
        return seconds([*PROGRAM, "run", "--dev", "--backend", "process", "--state-dir", state, str(HELLO)])


def run() -> list[Row]:
    """Return the rows of the table; the commands take turns, so that other load meets all of them."""
    rounds = [
        (seconds([sys.executable, "-c", "pass"]), seconds([*PROGRAM, "--help"]), first_job()) for _ in range(ROUNDS)
    ]
    python, help_text, job = (statistics.median(times) for times in zip(*rounds, strict=True))
    return [
        {"name": "python -c pass", "value": round(python, 2), "unit": "s", "target": "-"},
        {"name": "container-executor --help", "value": round(help_text, 2), "unit": "s", "target": "<= 0.25"},
        {"name": "run --dev hello.json, process", "value": round(job, 2), "unit": "s", "target": "<= 1.5"},
    ]


def main() -> None:
    for row in run():
        print(f"{row['name']:60} {row['value']:>8} {row['unit']:12} target {row['target']}")


if __name__ == "__main__":
    main()
