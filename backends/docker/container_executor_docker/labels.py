"""What our objects on the engine are called, and the labels that they bear. Pure."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from container_executor.models import Found, Handle, JobSpec, Mark
from container_executor_docker.guard import LABEL, OWNER

JOB = f"{LABEL}.job"
RANK = f"{LABEL}.rank"
RANKS = f"{LABEL}.ranks"
CPU = f"{LABEL}.cpu"
MEMORY = f"{LABEL}.memory"
GPUS = f"{LABEL}.gpus"
"""The GPUs that a container was given, with commas; added at submit."""

_MARK = ("owner", "colony", "process_id", "attempt", "launch")
_PLAIN = re.compile(r"[a-z0-9-]+")


def container_name(job_id: str, ranks: int, rank: int) -> str:
    """Return the name of one rank's container."""
    return job_id if ranks == 1 else f"{job_id}-{rank}"


def container_names(handle: Handle) -> list[str]:
    """Return the names of all of a job's containers, in order of rank."""
    return [container_name(handle.job_id, handle.ranks, rank) for rank in range(handle.ranks)]


def job_labels(job: JobSpec) -> dict[str, str]:
    """Return the labels that all objects of a job bear."""
    mark = {f"{LABEL}.{name}": value for name, value in job.mark.to_dict().items()}
    return {**mark, JOB: job.job_id, RANKS: str(job.ranks)}


def is_ours(labels: Mapping[str, str] | None, owner: str, job_id: str = "") -> bool:
    """Return whether labels say that an object belongs to *owner*, and to the job if one is named."""
    own = labels or {}
    return own.get(OWNER) == owner and (not job_id or own.get(JOB) == job_id)


def found_jobs(containers: Sequence[Mapping[str, Any]], networks: Sequence[Mapping[str, Any]]) -> list[Found]:
    """Return the jobs that listed objects belong to; one whose labels make no sense is not ours to judge."""
    ids: dict[str, list[str]] = {}
    labels: dict[str, Mapping[str, str]] = {}
    for thing in (*containers, *networks):
        job_id = thing["Labels"].get(JOB, "")
        labels[job_id] = thing["Labels"]
        ids.setdefault(job_id, []).append(thing["Id"][:12])
    found = (_found(job_id, own, ids[job_id]) for job_id, own in labels.items())
    return [job for job in found if job is not None]


def _found(job_id: str, labels: Mapping[str, str], ids: Sequence[str]) -> Found | None:
    try:
        mark = Mark.from_dict({name: labels[f"{LABEL}.{name}"] for name in _MARK if f"{LABEL}.{name}" in labels})
        handle = Handle(job_id, native_id(ids), int(labels.get(RANKS, "")))
    except ValueError:
        return None
    return Found(handle, mark) if job_id == mark.job_id and _PLAIN.fullmatch(job_id) else None


def native_id(ids: Sequence[str]) -> str:
    """Return the ids of a job's containers as one text."""
    return ",".join(id_[:12] for id_ in ids)
