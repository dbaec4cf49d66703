"""What a container may use, and what it is denied: the part of a create body that is about this machine. Pure."""

from collections.abc import Sequence
from typing import Any

from container_executor.models import JobSpec
from container_executor_docker.paths import Paths
from container_executor_docker.settings import DockerSettings

HOME = "/home/job"


def host_config(job: JobSpec, site: DockerSettings, paths: Paths) -> dict[str, Any]:
    """Return the ``HostConfig`` of one rank (docs.docker.com, Engine API v1.41, ContainerCreate)."""
    own_network = job.ranks > 1 and site.network in ("bridge", "none")
    return {
        "AutoRemove": False,
        "RestartPolicy": {"Name": "no"},
        "NetworkMode": job.job_id if own_network else site.network,
        "Mounts": paths.mounts(job),
        **_isolation(site),
        **_limits(job, site),
    }


def _isolation(site: DockerSettings) -> dict[str, Any]:
    escalation = [] if site.privilege_escalation else ["no-new-privileges"]
    isolation: dict[str, Any] = {
        "CapDrop": ["ALL"],
        "SecurityOpt": [*escalation, *site.security_options],
        "ReadonlyRootfs": site.read_only_root,
        "Privileged": False,
    }
    if site.capabilities:
        isolation["CapAdd"] = list(site.capabilities)
    if site.groups:
        isolation["GroupAdd"] = list(site.groups)
    return isolation


def _limits(job: JobSpec, site: DockerSettings) -> dict[str, Any]:
    tmpfs = f"rw,exec,nosuid,nodev,mode=1777,size={site.tmp_size}"
    limits: dict[str, Any] = {
        "Tmpfs": {"/tmp": tmpfs, HOME: tmpfs},  # noqa: S108 - the job's own
        "ShmSize": site.shm_size,
        "PidsLimit": site.pids,
        "Ulimits": _ulimits(site),
        "LogConfig": {
            "Type": str(site.log_driver),
            "Config": {"max-size": str(max(1, site.log_size // 2)), "max-file": "2", "compress": "false"},
        },
    }
    if job.cpu:
        limits["NanoCpus"] = job.cpu * 1_000_000
    if job.memory:
        limits["Memory"], limits["MemorySwap"] = job.memory, job.memory + site.swap
    return limits


def _ulimits(site: DockerSettings) -> Sequence[dict[str, Any]]:
    pairs = ((name, text.partition(":")) for name, text in sorted(site.ulimits.items()))
    return [{"Name": name, "Soft": int(soft), "Hard": int(hard or soft)} for name, (soft, _, hard) in pairs]
