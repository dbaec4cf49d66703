"""Ends containers whose lifetime is over, even if the daemon is gone: a small program of its own, one per owner.

It sends TERM at the end less the grace and KILL at the end, looks every two seconds, and leaves when none of its owner's containers
has an end ahead. The daemon starts it with each submit; a lock lets only one stay.
"""

import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import docker
import docker.errors
import requests.exceptions

LOOK = 2.0
IDLE_LOOKS = 5
OWNER, END, GRACE = "container-executor.owner", "container-executor.end", "container-executor.grace"


def ensure_guard(host: str, owner: str, lock: Path) -> None:
    """Start the guard of *owner* unless one is there. It outlives this program."""
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return
        fcntl.flock(file, fcntl.LOCK_UN)
    environment = {
        name: value for name, value in os.environ.items() if name.startswith("DOCKER_") or name in ("PATH", "HOME")
    }
    subprocess.run(
        ["sh", "-c", '"$@" &', "sh", sys.executable, "-P", __file__, host, owner, str(lock)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        check=True,
        timeout=30,
        env=environment,
        cwd="/",
    )


def guard(api: Any, owner: str) -> None:
    """End overdue containers until none of *owner* is left to end."""
    idle = 0
    while idle < IDLE_LOOKS:
        try:
            due = api.containers(filters={"label": [f"{OWNER}={owner}", END]})
        except (docker.errors.DockerException, requests.exceptions.RequestException):
            due = None  # Docker is away: its containers may still be there when it is back
        for container in due or ():
            _end(api, container, time.time())
        idle = 0 if due or due is None else idle + 1
        time.sleep(LOOK)


def _end(api: Any, container: dict[str, Any], now: float) -> None:
    labels = container["Labels"]
    end, grace = float(labels[END]), float(labels.get(GRACE, "0"))
    word = "KILL" if now >= end else "TERM" if now >= end - grace else ""
    if word:
        try:
            api.kill(container["Id"], word)
        except (docker.errors.DockerException, requests.exceptions.RequestException):
            return  # it has ended meanwhile, or the next look tries again


def main(host: str, owner: str, lock: str) -> None:
    """Guard, if nobody else does."""
    with Path(lock).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return
        api = docker.APIClient(base_url=host, timeout=30) if host else docker.from_env(timeout=30).api
        guard(api, owner)


if __name__ == "__main__":
    main(*sys.argv[1:4])
