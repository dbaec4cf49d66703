"""A job as what is posted to Docker: a create body for each rank, and a network where there are several. Pure."""

import posixpath
from collections.abc import Mapping
from typing import Any

import attrs

from container_executor.errors import Problem, UnsupportedError
from container_executor.models import JobSpec, Mount, Plan, rank_env
from container_executor.wrapper import wrap

LABEL = "container-executor"
"""Begins every label that we set."""
OWNER = f"{LABEL}.owner"
JOB = f"{LABEL}.job"
RANK = f"{LABEL}.rank"
RANKS = f"{LABEL}.ranks"
CPU = f"{LABEL}.cpu"
MEMORY = f"{LABEL}.memory"
GRACE = f"{LABEL}.grace"
END = f"{LABEL}.end"
"""When the guard ends the container: seconds since 1970, added at submit."""

HOME = "/home/job"
EXCHANGE = "/run/colonies"
"""Where a job finds its input and leaves its output."""
INPUT, OUTPUT = f"{EXCHANGE}/input.json", f"{EXCHANGE}/output"
LONGEST_STRING = 131_071
"""Bytes of one argument or variable: the kernel's MAX_ARG_STRLEN less its NUL (execve(2))."""


@attrs.frozen
class Site:
    """What the site decided about containers.

    Attributes:
        user: ``uid:gid`` of every program.
        network: Docker's network mode of a job of one rank.
        pids: Processes and threads of one rank at most.
        tmp_size: Bytes of ``/tmp`` and of the home directory each.
        shm_size: Bytes of ``/dev/shm``.
        log_size: Bytes of output that Docker keeps of one rank.
        gpu_driver: Driver of device requests: ``nvidia``, or ``cdi`` names for others.
        exchange: The daemon's folder for inputs and outputs, "" where the engine cannot see it.
        paths: By prefix of the daemon's paths, what the engine calls it.
    """

    user: str
    network: str = "bridge"
    pids: int = 4096
    tmp_size: int = 2**30
    shm_size: int = 2**26
    log_size: int = 2**30
    gpu_driver: str = "nvidia"
    exchange: str = ""
    paths: Mapping[str, str] = attrs.field(factory=dict)


def make_plan(job: JobSpec, site: Site) -> Plan:
    """Return the plan of *job*.

    Raises:
        UnsupportedError: Docker cannot run it; every problem has its place in the spec.
    """
    problems = _problems(job, site)
    if problems:
        raise UnsupportedError(problems)
    request: dict[str, Any] = {"containers": [_container(job, rank, site) for rank in range(job.ranks)]}
    if job.ranks > 1:
        request["network"] = {"Name": job.job_id, "Driver": "bridge", "CheckDuplicate": True, "Labels": labels(job)}
    return Plan(job, request)


def labels(job: JobSpec) -> dict[str, str]:
    """Return the labels that all objects of a job bear."""
    mark = {f"{LABEL}.{name}": value for name, value in job.mark.to_dict().items()}
    return {**mark, JOB: job.job_id, RANKS: str(job.ranks)}


def container_name(job_id: str, ranks: int, rank: int) -> str:
    """Return the name of one rank's container."""
    return job_id if ranks == 1 else f"{job_id}-{rank}"


def engine_path(path: str, paths: Mapping[str, str]) -> str:
    """Return what the engine calls a path of the daemon's."""
    for here in sorted(paths, key=len, reverse=True):
        if path == here or path.startswith(here.rstrip("/") + "/"):
            return paths[here].rstrip("/") + path[len(here.rstrip("/")) :]
    return path


def _container(job: JobSpec, rank: int, site: Site) -> dict[str, Any]:
    wrapped = wrap(job.argv)
    own = {CPU: str(job.cpu), MEMORY: str(job.memory), RANK: str(rank), GRACE: f"{job.grace.total_seconds():g}"}
    body: dict[str, Any] = {
        "Image": job.image,
        "Entrypoint": wrapped[:4],
        "Cmd": wrapped[4:],
        "Env": [f"{name}={value}" for name, value in sorted(_environment(job, rank, site).items())],
        "User": site.user,
        "OpenStdin": False,
        "AttachStdin": False,
        "Labels": {**labels(job), **own},
        "HostConfig": _host(job, site),
    }
    if job.ranks > 1:
        name = container_name(job.job_id, job.ranks, rank)
        body["Hostname"] = f"rank-{rank}"
        body["NetworkingConfig"] = {"EndpointsConfig": {job.job_id: {"Aliases": [name, f"rank-{rank}"]}}}
    return {"name": container_name(job.job_id, job.ranks, rank), "body": body}


def _environment(job: JobSpec, rank: int, site: Site) -> dict[str, str]:
    files = {"COLONIES_OUTPUT": OUTPUT} if site.exchange and rank == 0 else {}
    if job.input and site.exchange:
        files["COLONIES_INPUT"] = INPUT
    master = "rank-0" if job.ranks > 1 else "127.0.0.1"
    return {"HOME": HOME, **rank_env(job, rank, master=master), **files}


def _host(job: JobSpec, site: Site) -> dict[str, Any]:
    tmpfs = f"rw,exec,nosuid,nodev,mode=1777,size={site.tmp_size}"
    host: dict[str, Any] = {
        "AutoRemove": False,
        "RestartPolicy": {"Name": "no"},
        "NetworkMode": job.job_id if job.ranks > 1 else site.network,
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges:true"],
        "ReadonlyRootfs": True,
        "Tmpfs": {"/tmp": tmpfs, HOME: tmpfs},  # noqa: S108 - the job's own
        "PidsLimit": site.pids,
        "ShmSize": site.shm_size,
        "LogConfig": {
            "Type": "local",  # json-file would replace bytes that are no UTF-8
            "Config": {"max-size": str(max(1, site.log_size // 2)), "max-file": "2", "compress": "false"},
        },
        "Mounts": [_mount(mount, site) for mount in (*_exchange(job, site), *job.mounts)],
    }
    if job.cpu:
        host["NanoCpus"] = job.cpu * 1_000_000
    if job.memory:
        host["Memory"] = host["MemorySwap"] = job.memory
    if job.gpus:
        host["DeviceRequests"] = [{"Driver": site.gpu_driver, "Count": job.gpus, "Capabilities": [["gpu"]]}]
    return host


def _exchange(job: JobSpec, site: Site) -> tuple[Mount, ...]:
    return (Mount(f"{site.exchange}/{job.job_id}", EXCHANGE),) if site.exchange else ()


def _mount(mount: Mount, site: Site) -> dict[str, Any]:
    return {
        "Type": "bind",
        "Source": engine_path(mount.source, site.paths),
        "Target": mount.target,
        "ReadOnly": mount.read_only,
        "BindOptions": {"Propagation": "rprivate"},
    }


def _problems(job: JobSpec, site: Site) -> list[Problem]:
    found = [
        Problem(
            f"fs.mount + dir {mount.target}",
            "cannot be mounted; write an absolute path below the root, other than /proc, /sys and /dev",
        )
        for mount in job.mounts
        if not mount.target.startswith("/") or posixpath.normpath(mount.target) in ("/", "/proc", "/sys", "/dev")
    ]
    texts = [("kwargs.args", text) for text in job.argv] + [
        (f"env.{name}", f"{name}={text}") for name, text in job.env.items()
    ]
    found += [
        Problem(
            place,
            f"{len(text.encode())} bytes; the kernel takes {LONGEST_STRING} in one argument or variable: use a file",
        )
        for place, text in texts
        if len(text.encode()) > LONGEST_STRING
    ]
    if not site.user:
        found.append(
            Problem(
                "",
                'a daemon that runs as root must be told whom jobs run as: set user = "UID:GID" in [backends.docker]',
            )
        )
    if job.input and not site.exchange:
        found.append(
            Problem("", "this engine does not see the daemon's files, so a job cannot be given its parents' output")
        )
    return found
