"""The kube backend: an Indexed Job per job, a pod per node, a container per rank."""

import time
from collections.abc import Callable, Collection, Mapping
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import ClassVar

import attrs
from kubernetes.client.exceptions import ApiException

from container_executor.backend import LOG_LIMIT, Backend, user_of_jobs
from container_executor.errors import RejectedError
from container_executor.models import (
    Capacity,
    FailureClass,
    Found,
    Handle,
    Health,
    JobSpec,
    JobState,
    JobStatus,
    LogChunk,
    Plan,
)
from container_executor.remembered import Remembered
from container_executor_kube import changes, manifest, names, quota, watching
from container_executor_kube.cluster import Cluster, Thing
from container_executor_kube.errors import is_there, translated
from container_executor_kube.probe import probe
from container_executor_kube.readers import Readers
from container_executor_kube.settings import Pull, Site, check_taints
from container_executor_kube.sights import Sights
from container_executor_kube.verdict import Sight, job_status

CAPACITY_AGE = timedelta(seconds=5)


@attrs.define(eq=False, kw_only=True)
class KubeBackend(Backend):
    """Runs jobs as Jobs of Kubernetes 1.29 or newer."""

    name: ClassVar[str] = "kube"

    owner: str
    dev: bool = False
    namespace: str = attrs.field(
        default="", metadata={"help": "Where the jobs are; empty: the namespace of the context, or of our own pod."}
    )
    kubeconfig: Path | None = attrs.field(
        default=None, metadata={"help": "File with the connection; not set: KUBECONFIG, our own pod's, ~/.kube/config."}
    )
    context: str = attrs.field(default="", metadata={"help": "Context of that file; empty: its current one."})
    user: str = attrs.field(
        default="",
        metadata={
            "help": "UID:GID of every program; empty: the daemon's own, which must not be root. Development mode as root takes 65534:65534."
        },
    )
    pull: Pull = attrs.field(
        default=Pull.MISSING, converter=Pull, metadata={"help": "When nodes pull an image: always, missing or never."}
    )
    pull_secrets: tuple[str, ...] = attrs.field(
        default=(), metadata={"help": "Names of Secrets of the namespace with the logins of registries."}
    )
    pvc: str = attrs.field(
        default="",
        metadata={"help": "PersistentVolumeClaim, readable and writable by many nodes, that holds job files."},
    )
    shared: Path | None = attrs.field(default=None, metadata={"help": "Where this daemon sees that claim."})
    tmp_size: int = attrs.field(
        default=2**30, metadata={"help": "Bytes of /tmp and of the home directory, each, on the node's disk."}
    )
    gpu_resources: Mapping[str, str] = attrs.field(
        factory=lambda: {"": "nvidia.com/gpu"},
        metadata={"help": "By name of a GPU, the resource that stands for it; under the empty name that of any GPU."},
    )
    node_selector: Mapping[str, str] = attrs.field(
        factory=dict, metadata={"help": "Labels of the nodes that jobs may run on."}
    )
    tolerations: tuple[str, ...] = attrs.field(
        default=(),
        validator=check_taints,
        metadata={"help": 'Taints of nodes in spite of which jobs may run there, as "gpu=yes:NoSchedule".'},
    )
    priority_class: str = attrs.field(default="", metadata={"help": "PriorityClass of the pods."})
    node_lost_after: timedelta = attrs.field(
        default=timedelta(seconds=30), metadata={"help": "After this time without an answer a node counts as lost."}
    )
    _cluster: Cluster = attrs.field(init=False)
    _sights: Sights = attrs.field(init=False)
    _readers: Readers = attrs.field(init=False)
    _quotas: Remembered[Collection[Thing]] = attrs.field(factory=lambda: Remembered(CAPACITY_AGE), init=False)

    def __attrs_post_init__(self) -> None:
        self._cluster = Cluster(self.kubeconfig, self.context, self.namespace)
        self._sights = Sights(self._cluster)
        self._readers = Readers(self._cluster, self._sight, self._known_ended)

    # --- asking for a job -------------------------------------------------------------------------------------------

    def plan(self, job: JobSpec) -> Plan:
        return manifest.make_plan(job, self._site())

    def submit(self, plan: Plan, *, lifetime: timedelta | None) -> Handle:
        body = dict(plan.request)
        if lifetime is not None:
            body = manifest.with_lifetime(body, grace=plan.job.grace, lifetime=lifetime, now=time.time())
        with translated(f"submit {plan.job_id}"):
            try:
                return _handle(self._cluster.create("jobs", body))
            except ApiException as error:
                if not is_there(error):
                    raise
                return _handle(self._ours(plan.job))

    def _ours(self, job: JobSpec) -> Thing:
        """Return the Job that has the name of *job* already, if it is this very job."""
        found = self._cluster.get(self._cluster.path("jobs", job.job_id))
        if names.read_mark(found) != job.mark:
            raise RejectedError(
                f"a Job named {job.job_id} is there, and it is not ours; delete it",
                failure=FailureClass.NEVER_STARTED.value,
            )
        return found

    def release(self, handle: Handle) -> None:
        with translated(f"release {handle.job_id}"):
            sight = self._sight(handle)
            if sight is not None and job_status(sight).state is JobState.HELD:
                changes.release(self._cluster, sight)

    # --- asking about it ----------------------------------------------------------------------------------------------

    def status(self, handles: Collection[Handle]) -> Mapping[str, JobStatus]:
        if not handles:
            return {}
        with translated("ask for the state of jobs"):
            seen = self._sights.of(self.owner, [handle.job_id for handle in handles])
        return {job_id: job_status(sight) for job_id, sight in seen.items()}

    def logs(self, handle: Handle, cursor: str = "", *, limit: int = LOG_LIMIT) -> LogChunk:
        with translated(f"read the output of {handle.job_id}"):
            return self._readers.read(handle, cursor, limit)

    def list_jobs(self) -> Collection[Found]:
        with translated("list the jobs"):
            jobs = list(self._cluster.find("jobs", labelSelector=self._mine()))
        marks = [(_handle(job), mark) for job in jobs if (mark := names.read_mark(job)) is not None]
        return [Found(handle, mark) for handle, mark in marks if mark.owner == self.owner]

    # --- ending it ----------------------------------------------------------------------------------------------------

    def cancel(self, handle: Handle, *, force: bool = False) -> None:
        """Send TERM. The KILL follows when the grace is over that the job was submitted with, forced or not.

        Kubernetes cannot shorten a grace that has begun, and a pod that is deleted takes its output with it.
        """
        with translated(f"cancel {handle.job_id}"):
            sight = self._sight(handle)
            if sight is not None and not job_status(sight).state.ended:
                changes.cancel(self._cluster, sight)

    def remove(self, handle: Handle) -> None:
        with translated(f"remove {handle.job_id}"):
            self._readers.forget(handle.job_id)
            sight = self._sight(handle)
            if sight is None:
                return
            self._sights.forget(sight.job["metadata"]["uid"])
            changes.delete(self._cluster, handle.job_id)

    def _sight(self, handle: Handle) -> Sight | None:
        return self._sights.of(self.owner, [handle.job_id]).get(handle.job_id)

    def _known_ended(self, handle: Handle, rank: int) -> bool:
        return self._sights.known_ended(handle.native_id, rank)

    # --- the engine ---------------------------------------------------------------------------------------------------

    def watch(self, wake: Callable[[str], None], stop: Event) -> None:
        self._readers.wake = wake

        def see(pod: Thing) -> None:
            self._sights.remember(pod)
            wake(watching.job_of(pod))

        with translated("watch the jobs"):
            watching.follow(self._cluster, self._mine(), see, stop)

    def capacity(self) -> Capacity | None:
        """Return what the quotas of the namespace leave; None where there is none, or we may not see them."""
        return quota.free(self._quotas.get(self._ask_quotas), self.gpu_resources.values())

    def total(self) -> Capacity | None:
        """Return what those quotas allow in all."""
        return quota.total(self._quotas.get(self._ask_quotas), self.gpu_resources.values())

    def _ask_quotas(self) -> Collection[Thing]:
        with translated("ask for the quotas"):
            try:
                return list(self._cluster.find("resourcequotas"))
            except ApiException as error:
                if error.status != 403:
                    raise
                return ()

    def probe(self) -> Health:
        return probe(self._cluster, user=self.run_as())

    def close(self) -> None:
        self._readers.close()
        self._cluster.close()

    def _mine(self) -> str:
        return f"{names.OWNER}={names.owner_label(self.owner)}"

    def run_as(self) -> str:
        return user_of_jobs(self.user, dev=self.dev)

    def _site(self) -> Site:
        return Site(
            user=self.run_as(),
            namespace=self.namespace,
            pull=self.pull.policy,
            pull_secrets=self.pull_secrets,
            claim=self.pvc,
            claim_folder="" if self.shared is None else str(self.shared),
            tmp_size=self.tmp_size,
            gpu_resources=self.gpu_resources,
            node_selector=self.node_selector,
            tolerations=self.tolerations,
            priority_class=self.priority_class,
            node_lost_after=int(self.node_lost_after.total_seconds()),
        )


def _handle(job: Thing) -> Handle:
    spec = job["spec"]
    ranks = int(spec["completions"]) * len(spec["template"]["spec"]["containers"])
    return Handle(job["metadata"]["name"], job["metadata"]["uid"], ranks)
