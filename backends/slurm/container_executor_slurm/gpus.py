"""How the GPUs of a site are asked for. Pure."""

import re
from collections.abc import Iterator, Mapping

from container_executor.errors import Problem
from container_executor.models import JobSpec

_PLAIN = re.compile(r"[A-Za-z0-9._-]+")
_ANY = "--gpus-per-task={gpus}"


def request(job: JobSpec, table: Mapping[str, str], *, gres: bool) -> tuple[str, ...]:
    """Return the options of sbatch and srun that ask for a job's GPUs.

    Args:
        job: The job.
        table: Options by name of a GPU, "" for any; ``{gpus}`` stands for those of a rank, ``{node_gpus}`` for those of a node.
        gres: Ask by ``--gres``, with the name as Slurm's type of GPU, where the table has no line.
    """
    if not job.gpus:
        return ()
    named = f"--gres=gpu:{job.gpu_name}:{{node_gpus}}" if job.gpu_name else "--gres=gpu:{node_gpus}"
    line = table.get(job.gpu_name, named if gres else _ANY)
    return tuple(line.format(gpus=job.gpus, node_gpus=job.gpus * job.processes_per_node).split())


def problems(job: JobSpec, table: Mapping[str, str], *, gres: bool) -> Iterator[Problem]:
    """Return what keeps the job's GPUs from being asked for."""
    if not job.gpus or not job.gpu_name or job.gpu_name in table:
        return
    known = ", ".join(sorted(filter(None, table))) or "none by name"
    if not gres:
        yield Problem("conditions.gpu.name", f"this site has no GPU {job.gpu_name!r}; it has: {known}")
    elif not _PLAIN.fullmatch(job.gpu_name):
        yield Problem("conditions.gpu.name", f"{job.gpu_name!r} must consist of letters, digits and . _ -")
