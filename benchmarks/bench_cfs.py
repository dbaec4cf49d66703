"""Synchronising directories with an S3 store, beside rclone, which keeps no records and takes turns with us.

Needs an S3 server (``CE_S3_*``, as ``tests/engines/minio/up`` prints them) and rclone (``go install github.com/rclone/rclone@latest``).
The server of the records is our embedded one, on the same machine.

    python benchmarks/bench_cfs.py [--sets S,M,L] [--rounds 3] [--small]

Or as a part of ``nox -s bench``, on its page.
"""

import argparse
import os
import secrets
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import attrs
import obstore
from obstore.store import S3Store

from container_executor.client import Identity

Row = dict[str, Any]
NOTE = """
S is 5,000 files of 4 KiB in 50 directories and one more, M 100 files of 10 MB, L one of 2 GB. MinIO, the server of our records and
both programs share the processors; rclone keeps no records. Where our time goes: of S up, a record costs 0.6 ms of our processor, two
thirds of it the HTTP call (aiohttp), a tenth JSON and signature; storing a small file 0.5 ms, half of it obstore. MinIO and the server need as much
again. Of S down a file costs 0.5 ms of processor, half of it obstore. 0.4 s of every run, and of an unchanged set nearly all, is the start of
the program, a third of that the import of aiohttp; of S, reading 5,000 records as much again. Every file above 1 MB that comes down is on the disk before it has its
name; rclone does not wait for that.
"""
SERVE = """
import sys, anyio
from pathlib import Path
from container_executor.server import Server
async def main(path, owner, user):
    async with Server(Path(path), server_id=owner) as server:
        await server.bootstrap("dev", owner, [("user", user)])
        print(server.port, flush=True)
        await anyio.sleep_forever()
anyio.run(main, *sys.argv[1:])
"""
TARGETS = {
    ("S", "up"): 1.1, ("S", "down"): 0.85, ("S", "unchanged"): 0.8,
    ("M", "up"): 0.75, ("M", "down"): 0.7, ("M", "unchanged"): 0.2,
    ("L", "up"): 0.5, ("L", "down"): 1.5, ("L", "unchanged"): 0.1,
}  # fmt: skip
"""What our time divided by rclone's may be."""
STEPS = ("up", "unchanged", "down")
MEMORY = {"S": 80, "M": 80, "L": 160}
"""What our peak memory may be, in MB."""


def make_files(place: Path, name: str, *, small: bool) -> None:
    """Make a data set: S, 5,000 files of 4 KiB; M, 100 of 10 MB; L, one of 2 GB; or a tenth of each."""
    scale = 10 if small else 1
    if name == "S":
        for number in range(5_000 // scale):
            path = place / f"d{number % 50:02}" / f"f{number:05}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(secrets.token_bytes(4096))
        (place / "root").write_bytes(b"root")
    else:
        count, size = (100 // scale, 10_000_000) if name == "M" else (1, 2_000_000_000 // scale)
        place.mkdir(parents=True, exist_ok=True)
        for number in range(count):
            with (place / f"f{number:03}").open("wb") as file:
                for _ in range(size // 1_000_000):
                    file.write(secrets.token_bytes(1_000_000))


@attrs.frozen
class Run:
    """What a program took: seconds on the clock and of the processor, and its peak memory in MB."""

    seconds: float
    cpu: float
    memory: float


def timed(command: list[str], environ: Mapping[str, str]) -> Run:
    """Run a program to its end, which must be a success."""
    known = {name: value for name, value in os.environ.items() if name != "AWS_CA_BUNDLE"}  # rclone cannot use it
    started = time.monotonic()
    program = subprocess.Popen(command, env={**known, **environ}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    _, words = program.stderr, program.stderr.read() if program.stderr else b""
    _, status, usage = os.wait4(program.pid, 0)
    program.returncode = os.waitstatus_to_exitcode(status)
    assert program.returncode == 0, (command, words.decode())
    return Run(time.monotonic() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


@contextmanager
def colony(folder: Path) -> Iterator[dict[str, str]]:
    """Serve a colony and yield the variables that lead to it."""
    owner, user = Identity.new(), Identity.new()
    command = [sys.executable, "-c", SERVE, str(folder / "records.sqlite"), owner.id, user.id]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
        port = program.stdout.readline().strip() if program.stdout else ""
        try:
            yield {
                "COLONIES_SERVER_HOST": "127.0.0.1",
                "COLONIES_SERVER_PORT": port,
                "COLONIES_TLS": "false",
                "COLONIES_COLONY_NAME": "dev",
                "COLONIES_PRVKEY": user.key,
                "XDG_CACHE_HOME": str(folder / "cache"),
            }
        finally:
            program.send_signal(signal.SIGTERM)


@contextmanager
def bucket() -> Iterator[tuple[str, dict[str, str], dict[str, str]]]:
    """Yield a bucket of our own, and the variables with which we and rclone reach it."""
    name, endpoint = f"ce-bench-{secrets.token_hex(4)}", os.environ["CE_S3_ENDPOINT"]
    key, secret = os.environ["CE_S3_ACCESSKEY"], os.environ["CE_S3_SECRETKEY"]
    options: Any = {"allow_http": True, "timeout": timedelta(minutes=10)}
    store = S3Store(
        name, endpoint=endpoint, region="us-east-1", access_key_id=key, secret_access_key=secret,
        virtual_hosted_style_request=False, client_options=options,
    )  # fmt: skip
    _call(store, "PUT")
    ours = {"AWS_S3_ENDPOINT": endpoint, "AWS_S3_BUCKET": name, "AWS_S3_ACCESSKEY": key, "AWS_S3_SECRETKEY": secret}
    theirs = {
        "RCLONE_CONFIG_S_TYPE": "s3", "RCLONE_CONFIG_S_PROVIDER": "Minio", "RCLONE_CONFIG_S_ENDPOINT": endpoint,
        "RCLONE_CONFIG_S_ACCESS_KEY_ID": key, "RCLONE_CONFIG_S_SECRET_ACCESS_KEY": secret, "RCLONE_CONFIG": "/dev/null",
    }  # fmt: skip
    try:
        yield name, ours, theirs
    finally:
        for batch in obstore.list(store):
            obstore.delete(store, [item["path"] for item in batch])
        _call(store, "DELETE")


def _call(store: S3Store, method: Any) -> None:
    url = obstore.sign(store, method, "", timedelta(minutes=1))
    urllib.request.urlopen(urllib.request.Request(url, method=method)).close()  # noqa: S310 - the store of the rig


def measure(name: str, rounds: int, *, small: bool) -> dict[tuple[str, str], list[Run]]:
    """Return the runs of each step, ours and rclone's, in turn."""
    rclone = shutil.which("rclone") or sys.exit("rclone is not on PATH")
    found: dict[tuple[str, str], list[Run]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as made, bucket() as (remote, ours, theirs), colony(Path(made)) as there:
        folder = Path(made)
        make_files(folder / "data", name, small=small)
        for number in range(rounds):
            label, target = f"/{name}{number}", folder / "target"
            us = [sys.executable, "-m", "container_executor.cli", "cfs", "sync", "-l", label, "-d"]
            copy = [rclone, "copy", "--transfers", "16", "--checksum"]
            commands: dict[str, tuple[list[str], list[str]]] = {
                "up": ([*us, str(folder / "data")], [*copy, str(folder / "data"), f"S:{remote}/r{number}"]),
                "down": ([*us, str(target)], [*copy, f"S:{remote}/r{number}", str(target)]),
            }
            commands["unchanged"] = commands["up"]
            for step in STEPS:
                both = list(zip(("ours", "rclone"), commands[step], ({**there, **ours}, theirs), strict=True))
                for who, command, environ in both if number % 2 == 0 else reversed(both):
                    shutil.rmtree(target, ignore_errors=True)
                    found[step, who].append(timed(command, environ))
            (folder / "data" / ".cfs").unlink(missing_ok=True)
    return found


def rows(name: str, found: Mapping[tuple[str, str], list[Run]]) -> Iterator[Row]:
    """Yield the medians of each step, side by side."""

    def middle(step: str, who: str, of: Callable[[Run], float]) -> float:
        return statistics.median(of(each) for each in found[step, who])

    for step in STEPS:
        ours, theirs = (middle(step, who, lambda each: each.seconds) for who in ("ours", "rclone"))
        yield {
            "set": name, "step": step, "ours": f"{ours:.2f}", "rclone": f"{theirs:.2f}", "ratio": f"{ours / theirs:.2f}",
            "target": TARGETS[name, step], "cpu": f"{middle(step, 'ours', lambda each: each.cpu):.2f}",
            "rclone cpu": f"{middle(step, 'rclone', lambda each: each.cpu):.2f}",
            "MB": f"{max(each.memory for each in found[step, 'ours']):.0f}",
            "rclone MB": f"{max(each.memory for each in found[step, 'rclone']):.0f}",
        }  # fmt: skip


def run() -> list[Row]:
    """Return what the page shows: how long each step took beside rclone, and how much memory."""
    return [row for name in MEMORY for row in _shown(name, list(rows(name, measure(name, 3, small=False))))]


def _shown(name: str, found: list[Row]) -> Iterator[Row]:
    for row in found:
        title = f"{name} {row['step']}: {row['ours']} s ({row['cpu']} s of processor), rclone {row['rclone']} s ({row['rclone cpu']} s)"
        yield {"name": title, "value": row["ratio"], "unit": "x", "target": f"<= {row['target']}"}
    ours, theirs = (max(int(row[who]) for row in found) for who in ("MB", "rclone MB"))
    yield {
        "name": f"{name}: peak memory, rclone {theirs} MB",
        "value": ours,
        "unit": "MB",
        "target": f"<= {MEMORY[name]}",
    }


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", default="S,M,L")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--small", action="store_true", help="a tenth of each data set")
    given = parser.parse_args()
    header = ""
    for name in given.sets.split(","):
        for row in rows(name, measure(name, given.rounds, small=given.small)):
            if not header:
                header = "| " + " | ".join(row) + " |"
                print(header, "| " + " | ".join("---" for _ in row) + " |", sep="\n")
            print("| " + " | ".join(str(value) for value in row.values()) + " |", flush=True)


if __name__ == "__main__":
    main()
