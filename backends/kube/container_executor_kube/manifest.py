"""A job as the Job that is posted to Kubernetes. Pure."""

import math
import posixpath
from collections.abc import Mapping
from copy import deepcopy
from datetime import timedelta
from pathlib import PurePosixPath
from typing import Any

from container_executor.errors import UnsupportedError
from container_executor.models import JobSpec, Mount, Plan, rank_env
from container_executor_kube import names, refusals, starting
from container_executor_kube.settings import Site, toleration_of

HOME = "/home/job"
OUTPUT = "/dev/termination-log"
"""What is written there becomes a part of the pod's status, up to 4096 bytes (kubernetes.io, Pod failure)."""
JOB_SLACK = 10
"""Seconds from the end of a job's lifetime to the end of what was never placed. A program that ends in time is ended by its
pod, which stays readable; what the Job's own deadline ends is deleted with its output."""


def make_plan(job: JobSpec, site: Site) -> Plan:
    """Return the plan of *job*.

    Raises:
        UnsupportedError: This site cannot run it; every problem has its place in the spec.
    """
    problems = refusals.problems(job, site)
    if problems:
        raise UnsupportedError(problems)
    metadata: dict[str, Any] = {
        "name": job.job_id,
        "labels": names.labels(job),
        "annotations": {names.MARK: names.write_mark(job.mark)},
    }
    if site.namespace:
        metadata["namespace"] = site.namespace
    spec = {
        "completionMode": "Indexed",
        "completions": job.nodes,
        "parallelism": job.nodes,
        # With backoffLimit 0 the first pod that fails makes the controller delete the others, output and all.
        "backoffLimitPerIndex": 0,
        "template": {"metadata": _pod_metadata(job), "spec": _pod(job, site)},
    }
    return Plan(job, {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec})


def with_lifetime(request: Mapping[str, Any], *, grace: timedelta, lifetime: timedelta, now: float) -> dict[str, Any]:
    """Return the request with an end: TERM at *lifetime* less *grace* after *now* (seconds since 1970), KILL at *lifetime*."""
    body: dict[str, Any] = deepcopy(dict(request))
    seconds = grace_seconds(grace)
    deadline = max(1, math.floor((lifetime - grace).total_seconds()))
    end = math.ceil(now + max(0.0, (lifetime - grace).total_seconds()))
    body["spec"]["activeDeadlineSeconds"] = math.ceil(lifetime.total_seconds()) + JOB_SLACK
    template = body["spec"]["template"]
    template["metadata"]["annotations"][names.END] = str(end)
    template["spec"]["activeDeadlineSeconds"] = deadline
    for container in template["spec"]["containers"]:
        container["args"] = starting.with_end(container["args"], end=end, deadline=deadline, grace=seconds)
    return body


def grace_seconds(grace: timedelta) -> int:
    """Return the time between TERM and KILL as Kubernetes counts it. With 0 it would forget the pod at once."""
    return max(1, math.ceil(grace.total_seconds()))


def _pod_metadata(job: JobSpec) -> dict[str, Any]:
    notes = {names.MARK: names.write_mark(job.mark)}
    if job.input:
        notes[names.INPUT] = job.input
    return {"labels": names.labels(job), "annotations": notes}


def _pod(job: JobSpec, site: Site) -> dict[str, Any]:
    uid, _, gid = site.user.partition(":")
    pod: dict[str, Any] = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": grace_seconds(job.grace),
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsUser": int(uid),
            "runAsGroup": int(gid or uid),
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "tolerations": [
            *(_for_a_while(taint, site.node_lost_after) for taint in ("not-ready", "unreachable")),
            *map(toleration_of, site.tolerations),
        ],
        "containers": [_container(job, local, site) for local in range(job.processes_per_node)],
        "volumes": _volumes(job, site),
    }
    if job.nodes > 1:
        pod["affinity"] = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [_apart(job)]}}
    if site.pull_secrets:
        pod["imagePullSecrets"] = [{"name": name} for name in site.pull_secrets]
    if site.node_selector:
        pod["nodeSelector"] = dict(sorted(site.node_selector.items()))
    if site.priority_class:
        pod["priorityClassName"] = site.priority_class
    return pod


def _for_a_while(taint: str, seconds: int) -> dict[str, Any]:
    key = f"node.kubernetes.io/{taint}"
    return {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": seconds}


def _apart(job: JobSpec) -> dict[str, Any]:
    """Return the rule that no two pods of a job share a node."""
    return {"labelSelector": {"matchLabels": names.labels(job)}, "topologyKey": "kubernetes.io/hostname"}


def _container(job: JobSpec, local: int, site: Site) -> dict[str, Any]:
    meeting = job.processes_per_node if job.nodes > 1 else 0
    container: dict[str, Any] = {
        "name": names.container_name(local),
        "image": job.image,
        "imagePullPolicy": "Always" if job.pull else site.pull,
        "command": [literal(word) for word in starting.COMMAND],
        "args": [literal(word) for word in starting.arguments(job.argv, meeting=meeting)],
        "env": _environment(job, local),
        "resources": _resources(job, site),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "terminationMessagePath": OUTPUT,
        "terminationMessagePolicy": "File",
        "volumeMounts": _mounts(job, local, site),
    }
    return container


def literal(word: str) -> str:
    """Return *word* so that it arrives as it is: Kubernetes expands ``$(NAME)`` and makes one ``$`` of two."""
    return word.replace("$", "$$")


def _environment(job: JobSpec, local: int) -> list[dict[str, Any]]:
    """Return the variables of a rank. Which node it is on is known in its pod only, and rank 0's address at the release."""
    variables = {"HOME": HOME, **rank_env(job, local)}
    if local == 0:
        variables["COLONIES_OUTPUT"] = OUTPUT
    if job.input:
        variables["COLONIES_INPUT"] = f"{starting.FOLDER}/{starting.INPUT_FILE}"
    if job.nodes > 1:
        for name in ("RANK", "NODE_RANK", "MASTER_ADDR"):
            del variables[name]
    listed: list[dict[str, Any]] = [
        {"name": name, "value": literal(value)} for name, value in sorted(variables.items())
    ]
    if job.nodes > 1:
        index = {"fieldRef": {"fieldPath": f"metadata.annotations['{names.INDEX}']"}}
        listed.append({"name": "NODE_RANK", "valueFrom": index})
    return listed


def _resources(job: JobSpec, site: Site) -> dict[str, Any]:
    wanted: dict[str, str] = {}
    if job.cpu:
        wanted["cpu"] = f"{job.cpu}m"
    if job.memory:
        wanted["memory"] = str(job.memory)
    if job.gpus:
        wanted[site.gpu_resources[job.gpu_name]] = str(job.gpus)
    return {"requests": wanted, "limits": dict(wanted)} if wanted else {}


def _volumes(job: JobSpec, site: Site) -> list[dict[str, Any]]:
    size = {"sizeLimit": str(site.tmp_size)}
    volumes: list[dict[str, Any]] = [
        {"name": f"{place}-{local}", "emptyDir": dict(size)}
        for local in range(job.processes_per_node)
        for place in ("home", "tmp")
    ]
    if items := _own_files(job):
        volumes.append({"name": "own", "downwardAPI": {"items": items}})
    if job.mounts:
        volumes.append({"name": "claim", "persistentVolumeClaim": {"claimName": site.claim}})
    return volumes


def _own_files(job: JobSpec) -> list[dict[str, Any]]:
    files = {starting.RELEASE_FILE: names.RELEASE} if job.nodes > 1 else {}
    if job.input:
        files[starting.INPUT_FILE] = names.INPUT
    return [
        {"path": path, "fieldRef": {"fieldPath": f"metadata.annotations['{note}']"}} for path, note in files.items()
    ]


def _mounts(job: JobSpec, local: int, site: Site) -> list[dict[str, Any]]:
    mounts: list[dict[str, Any]] = [
        {"name": f"home-{local}", "mountPath": HOME},
        {"name": f"tmp-{local}", "mountPath": "/tmp"},  # noqa: S108 - the job's own
    ]
    if _own_files(job):
        mounts.append({"name": "own", "mountPath": starting.FOLDER, "readOnly": True})
    return mounts + [_mount(mount, site) for mount in job.mounts]


def _mount(mount: Mount, site: Site) -> dict[str, Any]:
    inside = str(PurePosixPath(posixpath.normpath(mount.source)).relative_to(site.claim_folder))
    place = {"name": "claim", "mountPath": mount.target, "readOnly": mount.read_only}
    return place if inside == "." else {**place, "subPath": inside}
