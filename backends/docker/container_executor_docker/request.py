"""A job as what is posted to Docker: a create body for each rank, and a network where there are several. Pure."""

from collections.abc import Mapping
from typing import Any

from container_executor.errors import UnsupportedError
from container_executor.models import JobSpec, Plan, rank_env
from container_executor.wrapper import wrap
from container_executor_docker.gpus import device_request
from container_executor_docker.guard import GRACE
from container_executor_docker.labels import CPU, MEMORY, RANK, container_name, job_labels
from container_executor_docker.limits import HOME, host_config
from container_executor_docker.oom import with_note
from container_executor_docker.paths import EXCHANGE, Paths
from container_executor_docker.problems import find_problems
from container_executor_docker.settings import DockerSettings

INPUT, OUTPUT = f"{EXCHANGE}/input.json", f"{EXCHANGE}/output"
SHARED_MODES = ("bridge", "none")
"""Network modes in which the ranks of a job get a network of their own."""


def make_plan(job: JobSpec, site: DockerSettings, paths: Paths) -> Plan:
    """Return the plan of *job*.

    Raises:
        UnsupportedError: Docker cannot run it; every problem has its place in the spec.
    """
    problems = find_problems(job, site, paths)
    if problems:
        raise UnsupportedError(problems)
    request: dict[str, Any] = {"containers": [_container(job, rank, site, paths) for rank in range(job.ranks)]}
    if has_network(job, site):
        request["network"] = _network(job, closed=site.network == "none")
    if job.gpus and site.gpus:
        request["gpus"] = {"count": job.gpus, "of": _gpus_of(job, site)}
    return Plan(job, request)


def _network(job: JobSpec, *, closed: bool) -> dict[str, Any]:
    # an internal network leads nowhere but to this host, unless this host has no address on it (dockerd 20.10)
    options = {"com.docker.network.bridge.inhibit_ipv4": "true"} if closed else {}
    return {
        "Name": job.job_id,
        "Driver": "bridge",
        "Internal": closed,
        "Options": options,
        "Labels": job_labels(job),
    }


def has_network(job: JobSpec, site: DockerSettings) -> bool:
    """Return whether the job gets a network of its own."""
    return job.ranks > 1 and site.network in SHARED_MODES


def _gpus_of(job: JobSpec, site: DockerSettings) -> list[str]:
    named = site.gpus.get(job.gpu_name) if job.gpu_name else None
    return list(named) if named is not None else [gpu for kind in site.gpus.values() for gpu in kind]


def _container(job: JobSpec, rank: int, site: DockerSettings, paths: Paths) -> dict[str, Any]:
    own = {CPU: str(job.cpu), MEMORY: str(job.memory), RANK: str(rank), GRACE: f"{job.grace.total_seconds():g}"}
    body: dict[str, Any] = {
        "Image": job.image,
        **_command(job, rank, notes=paths.exchange),
        "Env": [f"{name}={value}" for name, value in sorted(_environment(job, rank, site, paths).items())],
        "User": site.run_as(),
        "OpenStdin": False,
        "AttachStdin": False,
        "Healthcheck": {"Test": ["NONE"]},  # an image's own would run programs beside the job's
        "Labels": {**job_labels(job), **own},
        "HostConfig": host_config(job, site, paths),
    }
    name = container_name(job.job_id, job.ranks, rank)
    if has_network(job, site):
        body["Hostname"] = f"rank-{rank}"
        body["NetworkingConfig"] = {"EndpointsConfig": {job.job_id: {"Aliases": [name, f"rank-{rank}"]}}}
    if job.gpus and not site.gpus:
        body["HostConfig"].update(device_request(site.gpu_driver, count=job.gpus))
    return {"name": name, "body": body}


def _command(job: JobSpec, rank: int, *, notes: bool) -> dict[str, Any]:
    shell, option, script, name, *argv = wrap(job.argv)
    return {"Entrypoint": [shell, option, with_note(script, rank) if notes else script, name], "Cmd": argv}


def _environment(job: JobSpec, rank: int, site: DockerSettings, paths: Paths) -> Mapping[str, str]:
    files = {"COLONIES_OUTPUT": OUTPUT} if paths.exchange and rank == 0 else {}
    if job.input and paths.exchange:
        files["COLONIES_INPUT"] = INPUT
    return {"HOME": HOME, **rank_env(job, rank, master=_master(job, site)), **files}


def _master(job: JobSpec, site: DockerSettings) -> str:
    """Return the name of rank 0, which the engine's own name server knows on every network but its default one."""
    if job.ranks == 1 or site.network == "host":
        return "127.0.0.1"
    return container_name(job.job_id, job.ranks, 0)
