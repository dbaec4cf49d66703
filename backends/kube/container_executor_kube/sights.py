"""Looks at jobs: the Job, its pods, the ends that were seen earlier, and what events say about what waits."""

import threading
import time
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any

import attrs

from container_executor.models import JobState, RankStatus
from container_executor_kube import names
from container_executor_kube.cluster import Cluster
from container_executor_kube.evidence import time_of
from container_executor_kube.verdict import Sight, ends, job_status
from container_executor_kube.waiting import Wait, event_wait

Thing = Mapping[str, Any]

FEW = 16
"""Jobs that are asked for by name; more of them are listed with all others."""
PATIENCE = 2.0
"""Seconds that a job may wait before its events are asked for."""
EVENTS_KEPT = 5.0
"""Seconds for which they count."""
EVENTS_AT_ONCE = 8
"""Jobs whose events one look asks for at most; the others have their turn in the next looks."""

ENDS_KEPT = 5000
"""Jobs whose ends are remembered at most."""


@attrs.define(eq=False)
class Sights:
    """What is known of the jobs of one owner.

    Attributes:
        cluster: Where they are.
    """

    cluster: Cluster
    _ends: dict[str, dict[int, RankStatus]] = attrs.field(factory=dict)
    _waits: dict[str, tuple[float, Wait]] = attrs.field(factory=dict)
    _lock: threading.Lock = attrs.field(factory=threading.Lock)

    def of(self, owner: str, job_ids: Collection[str]) -> dict[str, Sight]:
        """Return what is seen of those of the jobs that there are, in two calls and one for each job that waits long."""
        selector = _selector(owner, job_ids)
        # The Jobs first: pods that are listed after them are never older than what the Job says about them.
        jobs = {job["metadata"]["name"]: job for job in self.cluster.find("jobs", labelSelector=selector)}
        wanted = {job_id: jobs[job_id] for job_id in job_ids if job_id in jobs and _is_of(jobs[job_id], owner)}
        if not wanted:
            return {}
        pods: dict[str, list[Thing]] = {}
        for pod in self.cluster.find("pods", labelSelector=selector):
            pods.setdefault(pod["metadata"]["labels"].get(names.CONTROLLER, ""), []).append(pod)
            self.remember(pod)
        return self._explained({job_id: self._sight(job, pods) for job_id, job in wanted.items()})

    def remember(self, pod: Thing) -> None:
        """Keep the ends that a pod proves: with the pod they would go."""
        labels = pod["metadata"]["labels"]
        if names.INDEX not in labels or names.CONTROLLER not in labels:
            return
        with self._lock:
            self._ends.setdefault(labels[names.CONTROLLER], {}).update(ends(pod))
            if len(self._ends) > ENDS_KEPT:
                del self._ends[next(iter(self._ends))]

    def known_ended(self, uid: str, rank: int) -> bool:
        """Return whether the end of a rank of the Job with that uid was seen. Nobody is asked."""
        with self._lock:
            return rank in self._ends.get(uid, {})

    def forget(self, uid: str) -> None:
        """Forget a job that was removed."""
        with self._lock:
            self._ends.pop(uid, None)
            self._waits.pop(uid, None)

    def _sight(self, job: Thing, pods: Mapping[str, list[Thing]]) -> Sight:
        uid = job["metadata"]["uid"]
        return Sight(job, pods.get(uid, []), self._ends.get(uid, {}))

    def _explained(self, sights: dict[str, Sight]) -> dict[str, Sight]:
        asked = 0
        for job_id, sight in sights.items():
            if asked >= EVENTS_AT_ONCE or not _waits_long(sight):
                continue
            at, wait = self._waits.get(sight.job["metadata"]["uid"], (0.0, Wait()))
            if time.monotonic() > at + EVENTS_KEPT:
                asked += 1
                wait = self._ask_events(sight)
            sights[job_id] = attrs.evolve(sight, wait=wait)
        return sights

    def _ask_events(self, sight: Sight) -> Wait:
        """Ask what is said about the Job where it has no pods, else about the first pod that waits."""
        uid = sight.job["metadata"]["uid"]
        waiting = [pod for pod in sight.pods if pod["status"].get("phase") == "Pending"]
        about = (waiting[0] if waiting else sight.job)["metadata"]["uid"]
        found = self.cluster.find("events", fieldSelector=f"involvedObject.uid={about},type=Warning")
        wait = event_wait(list(found))
        self._waits[uid] = (time.monotonic(), wait)
        return wait


def _selector(owner: str, job_ids: Collection[str]) -> str:
    mine = f"{names.OWNER}={names.owner_label(owner)}"
    return f"{mine},{names.JOB} in ({','.join(sorted(job_ids))})" if len(job_ids) <= FEW else mine


def _is_of(job: Thing, owner: str) -> bool:
    mark = names.read_mark(job)
    return mark is not None and mark.owner == owner


def _waits_long(sight: Sight) -> bool:
    status = job_status(sight)
    made = time_of(sight.job["metadata"].get("creationTimestamp"))
    old = made is not None and (datetime.now(UTC) - made).total_seconds() > PATIENCE
    return old and status.state is JobState.PENDING and not status.reason
