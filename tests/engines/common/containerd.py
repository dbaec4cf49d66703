"""A containerd of an engine's own: root, state and socket below the engine's state folder."""

import subprocess
from pathlib import Path

from common import programs, waiting

PLUGINS_LEFT_OUT = ["btrfs", "devmapper", "zfs", "aufs"]


def start(state: Path, name: str, *, cri: str | None = None) -> Path:
    """Start containerd as the program *name*, with the configuration *cri* of its Kubernetes side or without that; return its socket."""
    folder = state / name
    folder.mkdir(exist_ok=True)
    socket = folder / "containerd.sock"
    left_out = [f"io.containerd.snapshotter.v1.{plugin}" for plugin in PLUGINS_LEFT_OUT]
    left_out += [] if cri else ["io.containerd.grpc.v1.cri"]
    config = folder / "config.toml"
    config.write_text(
        f'version = 2\nroot = "{folder}/root"\nstate = "{folder}/state"\ndisabled_plugins = {left_out}\n'
        f'[grpc]\naddress = "{socket}"\n{cri or ""}'
    )
    programs.start(state, name, ["containerd", "--config", config])
    waiting.until(
        f"an answer of {name}",
        lambda: ctr(socket, "version", check=False).returncode == 0,
        seconds=30,
        log=programs.log_of(state, name),
    )
    return socket


def ctr(socket: Path, *args: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run containerd's own client against the containerd at *socket*."""
    command = ["ctr", "--address", socket, "--connect-timeout", "2s", *args]
    return subprocess.run(command, check=check, capture_output=True, text=True, timeout=120)
