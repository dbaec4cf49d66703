"""The labels and annotations by which a job's objects are known."""

import json
from collections.abc import Mapping
from typing import Any

from container_executor.models import JobSpec, Mark

PREFIX = "container-executor"
OWNER = f"{PREFIX}/owner"
JOB = f"{PREFIX}/job"
MARK = f"{PREFIX}/mark"
"""Annotation of Jobs and pods: the mark as JSON, since a label value holds 63 characters only."""
RELEASE = f"{PREFIX}/release"
"""Annotation of a pod: the address of rank 0. With it the ranks of the pod may start."""
INPUT = f"{PREFIX}/input"
END = f"{PREFIX}/end"
"""Annotation of a pod: after this second since 1970 no program is started."""
CANCELLED = f"{PREFIX}/cancelled"
"""Annotation of a Job that we were told to cancel."""

INDEX = "batch.kubernetes.io/job-completion-index"
"""Label and annotation that the Job controller gives to each pod of an Indexed Job."""
CONTROLLER = "batch.kubernetes.io/controller-uid"


def labels(job: JobSpec) -> dict[str, str]:
    """Return the labels that all objects of a job bear."""
    return {OWNER: owner_label(job.mark.owner), JOB: job.job_id}


def owner_label(owner: str) -> str:
    """Return an owner as a label value."""
    return owner[:63]


def write_mark(mark: Mark) -> str:
    """Return a mark as the text of an annotation."""
    return json.dumps(mark.to_dict(), ensure_ascii=False, separators=(",", ":"))


def read_mark(thing: Mapping[str, Any]) -> Mark | None:
    """Return the mark of a Job or pod, None where it bears none and so is not ours."""
    try:
        return Mark.from_dict(json.loads(annotations(thing)[MARK]))
    except (KeyError, ValueError, TypeError):
        return None


def annotations(thing: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the annotations of an object."""
    found: Mapping[str, str] = thing["metadata"].get("annotations") or {}
    return found


def container_name(local: int) -> str:
    """Return the name of the container of a pod's rank."""
    return f"rank-{local}"
