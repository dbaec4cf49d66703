"""Synchronising directories with an S3 store, in turns with rclone, which keeps no records, and the official command line.

Needs an S3 server (``CE_S3_*``, as ``tests/engines/minio/up`` prints them) and rclone (``go install github.com/rclone/rclone@latest``);
``colonies`` (github.com/colonyos/colonies) is measured where it is on PATH. The server of the records is our embedded one, on
the same machine. What S brings down stays until the end, because ext4 passes over inodes that were freed within the last minutes (``recently_deleted`` in its ialloc.c): after 5,000 files were removed, making one took 0.5 ms
here instead of 0.02. Whoever measures twice waits some minutes in between, since the store removes its objects too.

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
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import attrs
import obstore
from compiled import compile_all
from figures import p95
from memory import Memory
from obstore.store import S3Store

from container_executor.client import Identity

Row = dict[str, Any]
NOTE = """
S is 5,000 files of 4 KiB in 50 directories and one more, M 100 files of 10 MB, L one of 2 GB. MinIO, the server of our records and
all programs share the processors; rclone keeps no records. Where our time goes: of S up, a record and the content of a small file cost 0.2 ms of our processor
each, and MinIO and the server need several times as much; of S down a file costs 0.1 ms. 0.1 s of every run, and of an unchanged set
nearly all, is the start of the program; of S, looking at both sides as much again. [What was tried](decisions/small-requests-are-our-own.md).
No program waits for the disk; that [a power loss took something](decisions/a-download-does-not-wait-for-the-disk.md) only ours notices. The
official command line verifies nothing: of M down, 0.5 s of our processor are checksums. Each program finds 3 GB of memory free that have been used before
(`benchmarks/memory.py`), since the memory of a virtual machine is slow the first time; a first round is not counted. Times are medians, and
still move with the neighbours of a virtual machine: M down was 0.62 to 0.74 of rclone's time, and 1.35 to 1.55 of the official command line's, in runs of two nights.
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
LAUNCH = """
import os, sys, time
started = time.monotonic()
quiet = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
program = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ, file_actions=quiet)
_, status, usage = os.wait4(program, 0)
print(time.monotonic() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)
sys.exit(os.waitstatus_to_exitcode(status))
"""
"""Runs a program and prints what it took. The peak memory of a process is at least that of the one which started it (``maxrss`` in
exec_mmap of the kernel's fs/exec.c), so that one must be small."""
OURS, RCLONE, COLONIES = "ours", "rclone", "colonies"
TARGETS = {
    RCLONE: {
        ("S", "up"): 1.1, ("S", "down"): 0.85, ("S", "unchanged"): 0.8,
        ("M", "up"): 0.75, ("M", "down"): 0.7, ("M", "unchanged"): 0.2,
        ("L", "up"): 0.5, ("L", "down"): 1.5, ("L", "unchanged"): 0.1,
    },
    COLONIES: {
        ("S", "up"): 0.85, ("S", "down"): 0.85,
        ("M", "up"): 0.7, ("M", "down"): 1.5,
        ("L", "up"): 0.55, ("L", "down"): 1.5,
    },
}  # fmt: skip
"""What our time divided by that of another program may be."""
STEPS = ("up", "unchanged", "down")
ROUNDS = {"S": 7, "M": 15, "L": 3}
"""Runs of M are so short that a host which gives its processors and memory to others for a moment changes one by half."""
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
    launched = [sys.executable, "-ISc", LAUNCH, *command]
    ended = subprocess.run(launched, env={**known, **environ}, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, (command, ended.stderr)
    return Run(*map(float, ended.stdout.split()))


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


@attrs.frozen
class Program:
    """A program that synchronises.

    Attributes:
        name: What the table calls it.
        up: Returns the command that stores a directory under a name.
        down: Returns the command that brings what has that name into a directory.
        environ: Its variables.
    """

    name: str
    up: Callable[[Path, str], list[str]]
    down: Callable[[Path, str], list[str]]
    environ: Mapping[str, str]


@contextmanager
def programs(folder: Path) -> Iterator[list[Program]]:
    """Yield the programs that take turns: ours, rclone, and the official command line where it is on PATH."""
    rclone = shutil.which("rclone") or sys.exit("rclone is not on PATH")
    colonies = shutil.which("colonies")
    with bucket() as (remote, ours, theirs), colony(folder) as there:

        def us(place: Path, name: str) -> list[str]:
            return [sys.executable, "-m", "container_executor.cli", "cfs", "sync", "-l", f"/{name}", "-d", str(place)]

        def official(place: Path, name: str) -> list[str]:
            place.mkdir(exist_ok=True)  # it needs one
            return [str(colonies), "fs", "sync", "-l", f"/{name}-{COLONIES}", "-d", str(place), "--yes", "--quite"]

        copy = [rclone, "copy", "--transfers", "16", "--checksum"]
        plain = {**there, **ours, "AWS_S3_ENDPOINT": ours["AWS_S3_ENDPOINT"].partition("//")[2]}
        plain |= {"AWS_S3_TLS": "false", "AWS_S3_SKIPVERIFY": "false", "AWS_S3_REGION": "us-east-1"}
        yield [
            Program(OURS, us, us, {**there, **ours}),
            Program(
                RCLONE,
                lambda place, name: [*copy, str(place), f"S:{remote}/{name}"],
                lambda place, name: [*copy, f"S:{remote}/{name}", str(place)],
                theirs,
            ),
            *([Program(COLONIES, official, official, plain)] if colonies else []),
        ]


def measure(name: str, rounds: int, *, small: bool) -> dict[tuple[str, str], list[Run]]:
    """Return the runs of each step and program, which take turns."""
    found: dict[tuple[str, str], list[Run]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as made, programs(Path(made)) as taking_turns:
        data, memory = Path(made) / "data", Memory(Path(made))
        make_files(data, name, small=small)
        for number in range(rounds + 1):
            for step in STEPS:
                for program in taking_turns if number % 2 == 0 else reversed(taking_turns):
                    target = Path(made) / f"{program.name}{number}"
                    way, place = (program.down, target) if step == "down" else (program.up, data)
                    memory.prepare()
                    run = timed(way(place, f"{name}{number}"), program.environ)
                    if number:  # the first round warms up
                        found[step, program.name].append(run)
                    (data / ".cfs").unlink(missing_ok=True)  # where the official command line keeps the label
                    if step == "down" and name != "S":  # see the module's text
                        shutil.rmtree(target)
    return found


def told(runs: Sequence[Run]) -> str:
    """Return the medians, and the time that 95 of 100 runs do not exceed."""
    most, cpu = p95(each.seconds for each in runs), statistics.median(each.cpu for each in runs)
    return f"{middle(runs):.2f} s (p95 {most:.2f}, {cpu:.2f} of processor)"


def middle(runs: Sequence[Run]) -> float:
    return statistics.median(each.seconds for each in runs)


def rows(name: str, found: Mapping[tuple[str, str], list[Run]]) -> Iterator[Row]:
    """Yield the medians of each step, ours beside each other program."""

    def most(who: str) -> float:
        return max(each.memory for step in STEPS for each in found[step, who])

    for step in STEPS:
        for other, targets in TARGETS.items():
            if (step, other) in found and (name, step) in targets:
                ours, theirs = found[step, OURS], found[step, other]
                yield {
                    "name": f"{name} {step}, {len(ours)} runs: {told(ours)}, {other} {told(theirs)}",
                    "value": f"{middle(ours) / middle(theirs):.2f}",
                    "unit": "x",
                    "target": f"<= {targets[name, step]}",
                }
    others = ", ".join(f"{other} {most(other):.0f} MB" for other in TARGETS if ("up", other) in found)
    yield {
        "name": f"{name}: peak memory, {others}",
        "value": f"{most(OURS):.0f}",
        "unit": "MB",
        "target": f"<= {MEMORY[name]}",
    }


def run() -> list[Row]:
    """Return what the page shows: how long each step took beside the others, and how much memory."""
    return [row for name in MEMORY for row in rows(name, measure(name, ROUNDS[name], small=False))]


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", default="S,M,L")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--small", action="store_true", help="a tenth of each data set")
    given = parser.parse_args()
    compile_all()
    for name in given.sets.split(","):
        for row in rows(name, measure(name, given.rounds, small=given.small)):
            print(f"| {row['name']} | {row['value']} {row['unit']} | {row['target']} |", flush=True)


if __name__ == "__main__":
    main()
