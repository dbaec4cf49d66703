"""What keeps a job from running here, each with its place in the spec. Pure."""

import posixpath
from collections.abc import Iterator

from container_executor.errors import Problem
from container_executor.models import JobSpec
from container_executor_docker.paths import EXCHANGE, Paths
from container_executor_docker.settings import DockerSettings, GpuDriver

LONGEST_STRING = 131_071
"""Bytes of one argument or variable: the kernel's MAX_ARG_STRLEN less its NUL (execve(2))."""
_TAKEN = ("/", "/proc", "/sys", "/dev", EXCHANGE)


def find_problems(job: JobSpec, site: DockerSettings, paths: Paths) -> list[Problem]:
    """Return everything that keeps *job* from running."""
    return [*_mounts(job, paths), *_texts(job), *_gpus(job, site), *_daemon(job, site, paths)]


def _mounts(job: JobSpec, paths: Paths) -> Iterator[Problem]:
    for mount in job.mounts:
        place = f"fs.mount + dir {mount.target}"
        if not mount.target.startswith("/") or posixpath.normpath(mount.target) in _TAKEN:
            yield Problem(
                place, "cannot be mounted; write an absolute path below the root, other than /proc, /sys and /dev"
            )
        if paths.on_engine(mount.source) is None:
            yield Problem(
                place,
                f"the engine is on another machine and does not see {mount.source}; run the daemon on that machine, "
                "or say in paths of [backends.docker] what that directory is called there",
            )


def _texts(job: JobSpec) -> Iterator[Problem]:
    texts = [("kwargs.args", text) for text in job.argv]
    texts += [(f"env.{name}", f"{name}={text}") for name, text in job.env.items()]
    for place, text in texts:
        size = len(text.encode())
        if size > LONGEST_STRING:
            yield Problem(
                place, f"{size} bytes; the kernel takes {LONGEST_STRING} in one argument or variable: use a file"
            )


def _gpus(job: JobSpec, site: DockerSettings) -> Iterator[Problem]:
    if not job.gpus:
        return
    if job.gpu_name and job.gpu_name not in site.gpus:
        known = ", ".join(sorted(site.gpus)) or "none by name"
        yield Problem("conditions.gpu.name", f"this site has no GPU {job.gpu_name!r}; it has: {known}")
    elif not site.gpus and site.gpu_driver is not GpuDriver.NVIDIA:
        yield Problem("conditions.gpu.count", "this site has not said which GPUs it has (gpus in [backends.docker])")
    elif site.gpus:
        here = len(site.gpus[job.gpu_name]) if job.gpu_name else sum(map(len, site.gpus.values()))
        if job.gpus * job.ranks > here:
            yield Problem("conditions.gpu.count", f"{job.gpus * job.ranks} for all ranks; this site has {here}")


def _daemon(job: JobSpec, site: DockerSettings, paths: Paths) -> Iterator[Problem]:
    if not site.run_as():
        words = 'a daemon that runs as root must be told whom jobs run as; set user = "UID:GID" in [backends.docker]'
        yield Problem("backends.docker.user", words)
    if job.input and not paths.exchange:
        yield Problem(
            "input", "this engine does not see the daemon's files, so a job cannot be given its parents' output"
        )
