"""The dockerd of the tests: where it lives and how it is started; `up`, `down`, `daemon` and `spare` use this.

It has its own containerd, so that a stop or a kill of dockerd alone leaves the containers running (live restore).
"""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from common import cgroups, containerd, images, places, programs

STATE = places.state("docker")
PIDFILE = STATE / "dockerd.pid"
# Made by dockerd and by containerd's shims wherever their own folders are.
FIXED_FOLDERS = (Path("/run/docker/plugins"), Path("/run/containerd/s"))
PROGRAMS = ("dockerd", "containerd")
SOCKET = STATE / "docker.sock"
HOST = f"unix://{SOCKET}"
BRIDGE = "ce-docker0"
# 198.18.0.0/15 is set apart for measurements (RFC 2544), so no site routes it.
ADDRESS = "198.18.0.1/24"
POOL = "base=198.18.128.0/17,size=26"
CONTAINERS = "docker/containers"


def start() -> None:
    """Start dockerd and its containerd unless they run, and wait for an answer."""
    for folder in FIXED_FOLDERS:
        places.lend(STATE, folder)
    socket = containerd.start(STATE, "containerd")
    cgroups.make(CONTAINERS)
    if not programs.running(STATE, "dockerd"):
        # A killed dockerd leaves it, and while nobody has reaped its pid the next one would take it for alive.
        PIDFILE.unlink(missing_ok=True)
    programs.start(STATE, "dockerd", command(socket))
    programs.await_answer(STATE, "dockerd", lambda: answers(HOST))


def command(socket: Path) -> list[str | Path]:
    """Return dockerd's command line; no configuration file of the machine's is read."""
    return [
        "dockerd",
        f"--config-file={STATE / 'daemon.json'}",
        f"--host={HOST}",
        f"--containerd={socket}",
        f"--data-root={STATE / 'data'}",
        f"--exec-root={STATE / 'exec'}",
        f"--pidfile={PIDFILE}",
        f"--bridge={BRIDGE}",
        f"--default-address-pool={POOL}",
        f"--cgroup-parent={cgroups.path(CONTAINERS)}",
        "--exec-opt=native.cgroupdriver=cgroupfs",
        "--live-restore",
    ]


def answers(host: str) -> bool:
    """Tell whether the dockerd at *host* answers."""
    return docker("version", host=host, check=False).returncode == 0


def load(host: str, standard: Sequence[images.Image], archive: Path) -> None:
    """Load images into the dockerd at *host* unless it has the last one."""
    if docker("image", "inspect", standard[-1].tags[-1], host=host, check=False).returncode != 0:
        docker("load", "--input", images.archive(standard, archive), host=host)


def docker(*args: str | Path, host: str = HOST, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run the client against a dockerd of the tests."""
    return subprocess.run(["docker", "--host", host, *args], check=check, capture_output=True, text=True, timeout=120)
