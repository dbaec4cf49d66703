"""Renders a job as the batch script that Slurm runs: options, the job's own values, and the fixed part in ``batch.sh``."""

import re
import shlex
from collections.abc import Iterator, Sequence
from datetime import timedelta
from functools import cache
from importlib import resources
from urllib.parse import parse_qsl, urlencode

import attrs

from container_executor.errors import Problem
from container_executor.models import JobSpec, Mark, Mount, rank_env
from container_executor.wrapper import wrap

IO = "/colonies"
"""Where a rank finds its own ``input`` and ``output`` inside the container."""

_PLAIN_PATH = re.compile(r"/[A-Za-z0-9/._+@-]*")

_STARTED = f': > {IO}/.started; exec "$@"'
"""What the wrapper runs first: its trace tells that a TERM is heard, and a program's exit code from one of Apptainer's."""

_AT_RUN_TIME = {
    "RANK": "$SLURM_PROCID",
    "LOCAL_RANK": "$SLURM_LOCALID",
    "NODE_RANK": "$SLURM_NODEID",
    "MASTER_ADDR": "$CE_MASTER",
    "MASTER_PORT": "$CE_PORT",
}
"""Variables that only the rank itself knows, as the shell words that give them."""


@attrs.frozen
class Site:
    """What a site says about every script.

    Attributes:
        root: Folder of this owner's jobs, at the same path on every node.
        options: Further options of sbatch.
        prologue: Shell lines that run first on every node, such as ``module load apptainer``.
        apptainer: The program: ``apptainer`` or ``singularity``, or a path of one.
        apptainer_options: Further options of ``apptainer exec``.
        gpu_options: The options of sbatch and srun that ask for this job's GPUs.
        gpu_flag: The option of ``apptainer exec`` that brings the GPU driver in.
    """

    root: str
    options: tuple[str, ...] = ()
    prologue: str = ""
    apptainer: str = "apptainer"
    apptainer_options: tuple[str, ...] = ()
    gpu_options: tuple[str, ...] = ()
    gpu_flag: str = "--nv"


def render(job: JobSpec, image: str, site: Site) -> str:
    """Return the script that runs *job* in *image* (what ``apptainer exec`` takes). Its end is not in it: that is a file."""
    parts = [
        "#!/bin/bash",
        *_options(job, site),
        "",
        *filter(None, [site.prologue]),
        *_values(job, image, site),
        "",
        _fixed_part(),
    ]
    return "\n".join(parts)


def prologue(modules: Sequence[str], lines: str) -> str:
    """Return the shell lines that run first: loading environment modules, then the site's own."""
    load = [f"module load {shlex.join(modules)}"] if modules else []
    return "\n".join([*load, *([lines.rstrip("\n")] if lines else [])])


def encode_mark(mark: Mark) -> str:
    """Return the mark as a Slurm comment: plain letters without quotes, bars or spaces, which Slurm stores as they are."""
    return urlencode(mark.to_dict())


def decode_mark(comment: str) -> Mark | None:
    """Return the mark in a comment, or None where it is somebody else's."""
    try:
        return Mark.from_dict(dict(parse_qsl(comment)))
    except ValueError:
        return None


def minutes(job: JobSpec, lifetime: timedelta | None, longest: int | None = None) -> int | None:
    """Return the time limit for Slurm, the last resort above the script's own timers; None where neither bounds the job.

    Slurm counts whole minutes from the start of the job and kills ``KillWait`` after them, so one more is given. It never
    starts a job that asks for more than the partition's *longest*, so no more than that is asked for.
    """
    bounds = [bound for bound in (job.walltime, lifetime) if bound is not None]
    if not bounds:
        return None
    wanted = -(-(min(bounds) + job.grace) // timedelta(minutes=1)) + 1
    return min(wanted, longest) if longest else wanted


def _options(job: JobSpec, site: Site) -> list[str]:
    options = [
        f"--job-name={job.job_id}",
        f"--comment={encode_mark(job.mark)}",
        f"--output={site.root}/{job.job_id}/batch.log",
        "--open-mode=append",
        "--no-requeue",
        *_size(job),
        *_memory(job),
        *site.gpu_options,
        *site.options,
    ]
    return [f"#SBATCH {option}" for option in options]


def _size(job: JobSpec) -> list[str]:
    return [
        f"--nodes={job.nodes}",
        f"--ntasks={job.ranks}",
        f"--ntasks-per-node={job.processes_per_node}",
        f"--cpus-per-task={max(1, -(-job.cpu // 1000))}",
    ]


def _memory(job: JobSpec) -> list[str]:
    # --mem is for a node, and 0 would ask for all of it: https://slurm.schedmd.com/sbatch.html#OPT_mem
    return [f"--mem={-(-job.memory * job.processes_per_node // 2**20)}M"] if job.memory else []


def _values(job: JobSpec, image: str, site: Site) -> list[str]:
    walltime = "" if job.walltime is None else str(_milliseconds(job.walltime))
    return [
        f"ce_job={job.job_id}",
        f"ce_dir={site.root}/{job.job_id}",
        f"ce_wakes={site.root}/wakes",
        f"ce_image={shlex.quote(image)}",
        f"ce_io={IO}",
        f"ce_walltime={walltime} ce_grace={_milliseconds(job.grace)}",
        _array("ce_srun", _srun(job, site)),
        _array("ce_apptainer", _apptainer(job, site)),
        _array("ce_command", wrap(["sh", "-c", _STARTED, "sh", *job.argv])),
        *_variables(job, site),
    ]


def _srun(job: JobSpec, site: Site) -> list[str]:
    # Site defaults could end the other ranks (KillOnBadExit, WaitTime) or number them crosswise: all said here.
    fixed = ["--distribution=block", "--kill-on-bad-exit=0", "--wait=0", "--input=none"]
    return ["srun", *_size(job), *site.gpu_options, *fixed]


def _apptainer(job: JobSpec, site: Site) -> list[str]:
    # --no-init makes the wrapper process 1, which may signal all processes of the container.
    # --no-eval: without it a shell in the container evaluates the values of variables.
    fixed = ["--containall", "--cleanenv", "--no-eval", "--no-init"]
    gpu = [site.gpu_flag] if job.gpus else []
    binds = [word for mount in job.mounts for word in ("--mount", _bind(mount))]
    return [site.apptainer, "--silent", "exec", *fixed, *gpu, *site.apptainer_options, *binds]


def _bind(mount: Mount) -> str:
    """Return a mount as a line of comma-separated values, which is what ``--mount`` parses."""
    fields = [
        "type=bind",
        f"source={mount.source}",
        f"destination={mount.target}",
        *(["ro"] if mount.read_only else []),
    ]
    return ",".join('"' + field.replace('"', '""') + '"' for field in fields)


def _variables(job: JobSpec, site: Site) -> list[str]:
    prefix = "SINGULARITYENV_" if site.apptainer.endswith("singularity") else "APPTAINERENV_"
    ours = {"COLONIES_OUTPUT": f"{IO}/output", **({"COLONIES_INPUT": f"{IO}/input"} if job.input else {})}
    known = {**rank_env(job, 0), **ours}
    words = {**{name: shlex.quote(value) for name, value in known.items()}, **_AT_RUN_TIME}
    return ["ce_variables() {", *(f"    export {prefix}{name}={words[name]}" for name in sorted(words)), "}"]


def _array(name: str, words: Sequence[str]) -> str:
    return f"{name}=({' '.join(shlex.quote(word) for word in words)})"


def _milliseconds(duration: timedelta) -> int:
    return duration // timedelta(milliseconds=1)


@cache
def _fixed_part() -> str:
    return resources.files("container_executor_slurm").joinpath("batch.sh").read_text(encoding="utf-8")


def deadline_line(lifetime: timedelta | None, grace: timedelta, now: float) -> str | None:
    """Return what the script reads as its end: milliseconds since 1970 of TERM and KILL. None where there is no end."""
    if lifetime is None:
        return None
    kill = round(now * 1000) + _milliseconds(lifetime)
    return f"{kill - _milliseconds(grace)} {kill}\n"


def problems(job: JobSpec, root: str) -> Iterator[Problem]:
    """Return what keeps *job* from being a script in a folder below *root*."""
    if not _PLAIN_PATH.fullmatch(root):
        yield Problem("backends.slurm.shared", f"{root} must consist of letters, digits and / . _ + @ - only")
    for name in job.env:
        if not (name.isascii() and name.isidentifier()):  # variables get into the container through a shell
            yield Problem(f"env.{name}", "no shell can export this name; use letters, digits and _")
