"""A job as the request that the supervisor reads: pure."""

import getpass
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs

from container_executor.errors import Problem, UnsupportedError
from container_executor.models import JobSpec, Plan, rank_env
from container_executor_process.launcher import why_no_mounts

_DEFAULTS = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
}
"""Variables that a job has unless its user sets them; nothing else of the daemon's environment reaches it."""

_LONGEST = 131_071
"""Bytes of the longest argument or ``NAME=VALUE`` that a program can be started with (execve(2), MAX_ARG_STRLEN)."""

_HIDDEN = ("/", "/proc", "/sys", "/dev")
"""Directories that a mount would take away from every program of the job."""


def make_plan(job: JobSpec, *, place: Path) -> Plan:
    """Render *job*, whose directory will be below *place*; every problem is reported at once.

    Raises:
        UnsupportedError: A program on this host cannot be given what the job asks for.
    """
    problems = [*_resource_problems(job), *_text_problems(job), *_mount_problems(job, place)]
    if problems:
        raise UnsupportedError(problems)
    return Plan(job, _request(job))


def _request(job: JobSpec) -> dict[str, Any]:
    return {
        "argv": list(job.argv),
        "environments": [_environment(job, rank) for rank in range(job.ranks)],
        "mounts": [attrs.asdict(mount) for mount in job.mounts],
        "input": job.input,
        "cpu": job.cpu,
        "memory": job.memory,
        "walltime": job.walltime.total_seconds() if job.walltime is not None else None,
        "grace": job.grace.total_seconds(),
    }


def _environment(job: JobSpec, rank: int) -> dict[str, str]:
    port = {"MASTER_PORT": str(_meeting_port(job))}
    return dict(sorted({**_DEFAULTS, **rank_env(job, rank), **port}.items()))


def _meeting_port(job: JobSpec) -> int:
    """Return the first of eight ports that another job of this host is unlikely to have, below those that Linux hands out."""
    return 20_000 + int(job.mark.process_id[:8], 16) % 1500 * 8


def _resource_problems(job: JobSpec) -> Iterator[Problem]:
    if job.gpus:
        yield Problem(
            "conditions.gpu.count",
            f"{job.gpus} GPUs for each rank, but the process backend cannot reserve any; leave it out",
        )


def _text_problems(job: JobSpec) -> Iterator[Problem]:
    if not job.argv:
        yield Problem("kwargs.cmd", "there is no program to run; name one")
    for number, argument in enumerate(job.argv):
        yield from _string_problems("kwargs.args", f"argument {number}", argument)
    for name, value in job.env.items():
        yield from _string_problems("env", f"the variable {name[:40]!r}", f"{name}={value}")


def _string_problems(path: str, what: str, text: str) -> Iterator[Problem]:
    size = len(text.encode(errors="surrogatepass"))
    if size > _LONGEST:
        yield Problem(path, f"{what} has {size} bytes, but Linux takes at most {_LONGEST}; put it into a file")
    if "\0" in text:
        yield Problem(path, f"{what} has a NUL character, which no program can be given; take it out")


def _mount_problems(job: JobSpec, place: Path) -> Iterator[Problem]:
    if job.mounts and (why := why_no_mounts()):
        yield Problem("fs", f"this host lets {user_name()} mount nothing ({why}); leave fs out or use another backend")
    for mount in job.mounts:
        for end, path in (("source", mount.source), ("target", mount.target)):
            if not path.startswith("/"):
                yield Problem("fs.mount", f"the {end} {path!r} of a mount is no absolute path; begin it with /")
        if (mount.target.rstrip("/") or "/") in _HIDDEN or place.is_relative_to(mount.target):
            yield Problem("fs.mount", f"{mount.target} would hide what every program needs; mount elsewhere")


def user_name() -> str:
    """Return the name of the user that the jobs run as."""
    try:
        return getpass.getuser()
    except KeyError:  # a container may run under a number that has no name
        return "a user without a name"
