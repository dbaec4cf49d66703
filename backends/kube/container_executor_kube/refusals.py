"""What cannot run on this site, each with its place in the spec. Pure."""

import posixpath
from pathlib import PurePosixPath

from container_executor.errors import Problem
from container_executor.models import JobSpec, Mount
from container_executor_kube.settings import Site

LONGEST_STRING = 131_071
"""Bytes of one argument or variable: the kernel's MAX_ARG_STRLEN less its NUL (execve(2))."""
LONGEST_INPUT = 200_000
"""Bytes of an input: all annotations of an object hold 256 KiB together (kubernetes.io, Annotations)."""


def problems(job: JobSpec, site: Site) -> list[Problem]:
    """Return every reason why *job* cannot run, none where it can."""
    found = [problem for mount in job.mounts if (problem := _mount_problem(mount, site))]
    texts = [("kwargs.args", text) for text in job.argv]
    texts += [(f"env.{name}", f"{name}={text}") for name, text in job.env.items()]
    found += [
        Problem(place, f"{len(text.encode())} bytes; the kernel takes {LONGEST_STRING} in one argument or variable")
        for place, text in texts
        if len(text.encode()) > LONGEST_STRING
    ]
    if len(job.input.encode()) > LONGEST_INPUT:
        words = f"{len(job.input.encode())} bytes; Kubernetes takes {LONGEST_INPUT} here: pass results on as files"
        found.append(Problem("the parents' output", words))
    if job.gpus and job.gpu_name not in site.gpu_resources:
        known = ", ".join(sorted(name for name in site.gpu_resources if name)) or "none"
        words = f"this site has no GPU {job.gpu_name!r}; it knows: {known} (gpu_resources in [backends.kube])"
        found.append(Problem("conditions.gpu.name", words))
    if not site.user:
        words = 'a daemon that runs as root must be told whom jobs run as: set user = "UID:GID" in [backends.kube]'
        found.append(Problem("", words))
    return found


def _mount_problem(mount: Mount, site: Site) -> Problem | None:
    place = f"fs.mount + dir {mount.target}"
    normal = posixpath.normpath(mount.target)
    if not mount.target.startswith("/") or normal in ("/", "/proc", "/sys", "/dev") or ":" in mount.target:
        words = "cannot be mounted; write an absolute path without a colon, other than /, /proc, /sys and /dev"
        return Problem(place, words)
    if not site.claim or not site.claim_folder:
        words = "this site mounts no files; the site sets pvc and shared in [backends.kube]"
        return Problem(place, words)
    if not PurePosixPath(posixpath.normpath(mount.source)).is_relative_to(site.claim_folder):
        words = f"{mount.source} is not on the claim {site.claim}, which the daemon sees at {site.claim_folder}"
        return Problem(place, words)
    return None
