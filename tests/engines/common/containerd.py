"""A containerd of an engine's own: root, state and socket below the engine's state folder."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from common import programs

PLUGINS_LEFT_OUT = ["btrfs", "devmapper", "zfs", "aufs"]


def start(state: Path, name: str, *, cri: str | None = None, enter: Sequence[str] = ()) -> Path:
    """Start containerd as the program *name* and return its socket.

    *cri* configures its Kubernetes side, which is left out otherwise; *enter* are words that start a program elsewhere.
    """
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
    programs.start(state, name, [*enter, "containerd", "--config", config])
    programs.await_answer(state, name, lambda: ctr(socket, "version", check=False).returncode == 0)
    return socket


def ctr(socket: Path, *args: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run containerd's own client against the containerd at *socket*."""
    command = ["ctr", "--address", socket, "--connect-timeout", "2s", *args]
    return subprocess.run(command, check=check, capture_output=True, text=True, timeout=120)


def remove_sockets(state: Path) -> None:
    """Remove the sockets of killed shims, which lie outside of *state*; each container's folder names its own."""
    for address in state.glob("**/io.containerd.runtime.v2.task/*/*/address"):
        Path(address.read_text().removeprefix("unix://")).unlink(missing_ok=True)
