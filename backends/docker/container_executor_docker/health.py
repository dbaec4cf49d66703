"""What the engine says of itself: what is free, and what is wrong with it. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from container_executor.models import Capacity, Fault, Health
from container_executor_docker.gpus import taken_gpus
from container_executor_docker.labels import CPU, MEMORY
from container_executor_docker.settings import DockerSettings, LogDriver

OLDEST_API = (1, 40)
"""Docker 19.03: the first with device requests."""

_AWAY = (
    (
        "Permission denied",
        "add the daemon's user to the group of that socket (usermod -aG docker USER), and start it anew",
    ),
    ("No such file", "start Docker (systemctl start docker), or set host in [backends.docker] to its socket"),
    ("refused", "start Docker (systemctl start docker): nobody listens at its address"),
    ("CERTIFICATE", "set tls in [backends.docker] to the directory of the engine's ca.pem, cert.pem and key.pem"),
)
"""What mends an engine that does not answer, by words of why."""


def free(info: Mapping[str, Any], live: Sequence[Mapping[str, Any]], gpus: Iterable[str]) -> Capacity:
    """Return the engine's own totals less what our containers were given, those that have not ended.

    Args:
        info: The answer to ``/info``.
        live: Our containers as ``/containers/json`` lists them.
        gpus: All GPUs that the site named.
    """
    named = set(gpus)
    return Capacity(
        cpu=max(0, info["NCPU"] * 1000 - _given(live, CPU)),
        memory=max(0, info["MemTotal"] - _given(live, MEMORY)),
        gpus=len(named - taken_gpus(live)) if named else None,
    )


def total(info: Mapping[str, Any], gpus: Iterable[str]) -> Capacity:
    """Return the engine's own totals, and how many GPUs the site named."""
    return Capacity(info["NCPU"] * 1000, info["MemTotal"], len(set(gpus)) or None)


def _given(live: Iterable[Mapping[str, Any]], label: str) -> int:
    return sum(int(container["Labels"].get(label, 0)) for container in live)


def away(words: str) -> Health:
    """Return the health of an engine that does not answer."""
    fix = next((fix for part, fix in _AWAY if part in words), "start Docker, or set host in [backends.docker]")
    return Health(reachable=False, faults=(Fault(words, fix),))


def health(version: Mapping[str, Any], info: Mapping[str, Any], faults: Sequence[Fault]) -> Health:
    """Return the health of an engine that answers; *faults* are those of this program's own side."""
    words = f"Docker {version['Version']}, API {version['ApiVersion']}"
    return Health(reachable=True, version=words, faults=(*_engine_faults(version, info), *faults))


def _engine_faults(version: Mapping[str, Any], info: Mapping[str, Any]) -> Iterator[Fault]:
    if tuple(int(part) for part in str(version["ApiVersion"]).split(".")[:2]) < OLDEST_API:
        yield Fault(f"API {version['ApiVersion']} is too old", "install Docker 19.03 or newer")
    if info.get("LiveRestoreEnabled") is False:
        yield Fault(
            "a restart of dockerd ends all jobs (live-restore is off)",
            'put "live-restore": true into /etc/docker/daemon.json',
            fatal=False,
        )
    for switch, what in (("MemoryLimit", "memory"), ("PidsLimit", "pids"), ("CpuCfsQuota", "cpu")):
        if info.get(switch) is False:
            yield Fault(f"this kernel keeps no {what} limits", f"enable the {what} control group of the kernel")
    for option in info.get("SecurityOptions") or ():
        if option in ("name=userns", "name=rootless"):
            yield Fault(
                f"the engine maps users ({option}): files of jobs belong to other users than the daemon's",
                "run the daemon as the user that the engine maps to, or use an engine that maps none",
            )


def log_faults(info: Mapping[str, Any], driver: LogDriver) -> Iterator[Fault]:
    """Yield that the engine cannot keep output as the site wants it."""
    known = (info.get("Plugins") or {}).get("Log") or ()
    if known and driver is LogDriver.LOCAL and driver not in known:
        yield Fault(
            "this engine has no log driver local, as Podman has none: no job can start",
            'set log_driver = "json-file" in [backends.docker], and read what its README says of Podman',
        )


def settings_faults(settings: DockerSettings, *, in_container: bool, local: bool) -> Iterator[Fault]:
    """Yield what is wrong with the settings of the site, where this program and the engine are."""
    if not settings.run_as():
        yield Fault("jobs would run as root", 'set user = "UID:GID" in [backends.docker]')
    if in_container and not settings.paths:
        yield Fault(
            "this program seems to be in a container, whose paths the engine does not know",
            "mount its directories from the host, and say in paths of [backends.docker] what the host calls them",
            fatal=False,
        )
    if (in_container or not local) and not settings.guard_image:
        yield Fault(
            "the guard, which ends overdue jobs when this program is gone, would go with this "
            + ("container" if in_container else "machine"),
            "set guard_image in [backends.docker] to an image with Python and its docker package, as this program's own",
            fatal=False,
        )
    if settings.docker_config is None:
        return
    file = settings.docker_config / "config.json"
    if not file.is_file():
        yield Fault(f"the logins of registries, {file}, are not there", "set docker_config in [backends.docker]")
    elif file.stat().st_mode & 0o077:
        yield Fault(f"others can read the logins of registries, {file}", f"chmod 600 {file}")
