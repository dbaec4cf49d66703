"""Changes jobs that are there: lets their ranks start, ends them, deletes them."""

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from kubernetes.client.exceptions import ApiException

from container_executor_kube import names
from container_executor_kube.cluster import Cluster, Thing
from container_executor_kube.verdict import Sight

AT_ONCE = {"spec": {"activeDeadlineSeconds": 1}}
"""Ends a pod that is older than a second, and leaves it and its output readable."""


def release(cluster: Cluster, sight: Sight) -> None:
    """Tell every pod of a job that is held where rank 0 is, and thereby to go on."""
    first = sight.pod(0)
    if first is None:
        return
    note = {"metadata": {"annotations": {names.RELEASE: str(first["status"]["podIP"])}}}
    for pod in sight.pods:
        _change(cluster, pod, note)


def cancel(cluster: Cluster, sight: Sight) -> None:
    """Begin the end of a job: of its pods where a program may run, else of the making of pods."""
    started = sight.started()
    change: dict[str, Any] = {"metadata": {"annotations": {names.CANCELLED: datetime.now(UTC).isoformat()}}}
    if not started:
        change["spec"] = {"suspend": True}
    if not (started and sight.cancelled):
        cluster.patch("jobs", sight.job["metadata"]["name"], change)
    if started:
        for pod in sight.pods:
            if pod["status"].get("phase") not in ("Succeeded", "Failed"):
                _change(cluster, pod, AT_ONCE)


def delete(cluster: Cluster, name: str) -> None:
    """Delete a Job and, before it goes, its pods."""
    with _gone_is_fine():
        cluster.delete("jobs", name)


def _change(cluster: Cluster, pod: Thing, change: Thing) -> None:
    with _gone_is_fine():
        cluster.patch("pods", pod["metadata"]["name"], change)


@contextlib.contextmanager
def _gone_is_fine() -> Iterator[None]:
    try:
        yield
    except ApiException as error:
        if error.status != 404:
            raise
