"""Follows what happens to the pods of one owner."""

from collections.abc import Callable, Mapping
from threading import Event
from typing import Any

from kubernetes.client.exceptions import ApiException

from container_executor_kube import names
from container_executor_kube.cluster import Cluster

Thing = Mapping[str, Any]
GONE = 410


def follow(cluster: Cluster, selector: str, see: Callable[[Thing], None], stop: Event) -> None:
    """Call *see* with every pod that *selector* names, and again with each change of one, until *stop* is set.

    After a gap, as when the apiserver no longer knows the version that was seen last (410), every pod is shown anew.
    """
    version = ""
    while not stop.is_set():
        version = version or _all(cluster, selector, see)
        version = _changes(cluster, selector, version, see, stop)


def _all(cluster: Cluster, selector: str, see: Callable[[Thing], None]) -> str:
    """Show every pod and return the version of the list."""
    answer = cluster.get(cluster.path("pods"), labelSelector=selector)
    for pod in answer["items"]:
        see(pod)
    return str(answer["metadata"]["resourceVersion"])


def _changes(cluster: Cluster, selector: str, version: str, see: Callable[[Thing], None], stop: Event) -> str:
    """Show the changes after *version* and return the version to go on from, "" where all must be listed anew."""
    try:
        for event in cluster.watch("pods", version, labelSelector=selector):
            thing = event["object"]
            if event["type"] == "ERROR":
                return ""
            version = str(thing["metadata"]["resourceVersion"])
            if event["type"] != "BOOKMARK":
                see(thing)
            if stop.is_set():
                break
    except ApiException as error:
        if error.status != GONE:
            raise
        return ""
    return version


def job_of(pod: Thing) -> str:
    """Return the job that a pod belongs to."""
    return str(pod["metadata"]["labels"][names.JOB])
