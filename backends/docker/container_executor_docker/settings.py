"""What a site decides about the docker backend: its settings, each a field.

Everything that a job is denied by default (privileges, writing into its image, swap, endless output) is given back here and
nowhere else: no spec can.
"""

import enum
import re
from collections.abc import Mapping
from pathlib import Path

import attrs

from container_executor.backend import user_of_jobs
from container_executor.units import parse_memory

_SCHEMES = ("unix://", "tcp://")


class Pull(enum.StrEnum):
    """When an image is pulled."""

    ALWAYS = "always"
    MISSING = "missing"
    NEVER = "never"


class LogDriver(enum.StrEnum):
    """How the engine keeps output."""

    LOCAL = "local"
    JSON_FILE = "json-file"


class GpuDriver(enum.StrEnum):
    """How a container is given GPUs."""

    NVIDIA = "nvidia"
    AMD = "amd"
    CDI = "cdi"


def _check_host(_settings: object, _field: object, value: str) -> None:
    if value and not value.startswith(_SCHEMES):
        raise ValueError(f"{value} is no address that works here; write unix:///PATH or tcp://HOST:PORT")


def _check_user(_settings: object, _field: object, value: str) -> None:
    if value and not re.fullmatch(r"[0-9]+:[0-9]+", value):
        raise ValueError(f"{value!r} is no UID:GID; write two numbers, as 1000:1000")


def _check_ulimits(_settings: object, _field: object, value: Mapping[str, str]) -> None:
    for name, limits in value.items():
        if not re.fullmatch(r"-?[0-9]+(:-?[0-9]+)?", limits):
            raise ValueError(f"{name} = {limits!r} is no limit; write SOFT:HARD or one number, -1 for none")


@attrs.define(eq=False, kw_only=True)
class DockerSettings:
    """The fields of the backend. The core fills the first three."""

    owner: str
    directory: Path
    dev: bool = False
    host: str = attrs.field(
        default="",
        validator=_check_host,
        metadata={"help": "Address of the engine, as unix:///run/docker.sock; empty: as the docker command finds it."},
    )
    context: str = attrs.field(
        default="", metadata={"help": "Context of the docker command that names the engine, instead of host."}
    )
    tls: Path | None = attrs.field(
        default=None, metadata={"help": "Directory of ca.pem, cert.pem and key.pem for a host that speaks TLS."}
    )
    user: str = attrs.field(
        default="",
        validator=_check_user,
        metadata={
            "help": "UID:GID of every program; empty: the daemon's own, which must not be root. Development mode as root takes 65534:65534."
        },
    )
    groups: tuple[str, ...] = attrs.field(
        default=(), metadata={"help": "Further groups of every program, as numbers or as names in the image."}
    )
    pull: Pull = attrs.field(
        default=Pull.MISSING,
        converter=Pull,
        metadata={
            "help": "When an image is pulled: always, missing or never. A spec with rebuild-image pulls unless never."
        },
    )
    docker_config: Path | None = attrs.field(
        default=None,
        metadata={
            "help": "Directory of a config.json with the logins of registries, read anew for each pull; not set: the user's own."
        },
    )
    network: str = attrs.field(
        default="bridge",
        metadata={
            "help": "bridge, none, host or the name of a network. Ranks of one job share a network of their own with bridge, one without a way out with none."
        },
    )
    paths: Mapping[str, str] = attrs.field(
        factory=dict,
        metadata={
            "help": "What the engine calls directories of the daemon where the names differ or the engine is remote, by prefix."
        },
    )
    pids: int = attrs.field(default=4096, metadata={"help": "Processes and threads of one rank at most; -1: no bound."})
    swap: int = attrs.field(
        default=0,
        metadata={"help": "Bytes of swap that a rank with a memory limit gets besides.", "parse": parse_memory},
    )
    tmp_size: int = attrs.field(
        default=2**30,
        metadata={
            "help": "Bytes of /tmp and of the home directory, each; they count as memory of the job.",
            "parse": parse_memory,
        },
    )
    shm_size: int = attrs.field(default=2**26, metadata={"help": "Bytes of /dev/shm.", "parse": parse_memory})
    log_driver: LogDriver = attrs.field(
        default=LogDriver.LOCAL,
        converter=LogDriver,
        metadata={
            "help": "How the engine keeps output: local, or json-file for Podman, which has no local; Docker's json-file changes bytes that are no UTF-8."
        },
    )
    log_size: int = attrs.field(
        default=2**30,
        metadata={
            "help": "Bytes of output that the engine keeps of one rank; the oldest go first.",
            "parse": parse_memory,
        },
    )
    ulimits: Mapping[str, str] = attrs.field(
        default={"core": "0"},
        validator=_check_ulimits,
        metadata={"help": 'Limits of every program by name, as nofile = "1024:4096".'},
    )
    read_only_root: bool = attrs.field(
        default=True,
        metadata={"help": "A job cannot write into its image, only into /tmp, its home and its directories."},
    )
    privilege_escalation: bool = attrs.field(
        default=False, metadata={"help": "A program may gain rights by setuid files of its image."}
    )
    capabilities: tuple[str, ...] = attrs.field(
        default=(), metadata={"help": "Capabilities of the kernel that are given back; all are dropped."}
    )
    security_options: tuple[str, ...] = attrs.field(
        default=(), metadata={"help": "Further security options of the engine, as apparmor=NAME."}
    )
    guard_image: str = attrs.field(
        default="",
        metadata={
            "help": "Image on the engine with Python and its docker package, as the daemon's own: the guard is then a container, for a daemon in a container or a remote engine."
        },
    )
    guard_socket: str = attrs.field(
        default="/var/run/docker.sock",
        metadata={"help": "The engine's socket on the engine's own machine, for a guard that is a container."},
    )
    gpu_driver: GpuDriver = attrs.field(
        default=GpuDriver.NVIDIA, converter=GpuDriver, metadata={"help": "How GPUs are given: nvidia, amd or cdi."}
    )
    gpus: Mapping[str, tuple[str, ...]] = attrs.field(
        factory=dict,
        metadata={
            "help": "The engine's GPUs by kind: indices or UUIDs (nvidia), render nodes (amd), CDI names (cdi). Not set: NVIDIA's own count, which shares."
        },
    )

    def run_as(self) -> str:
        """Return the ``UID:GID`` that programs run as, "" where a daemon that is root was told none."""
        return user_of_jobs(self.user, dev=self.dev)
