"""What a Job and its pods prove about a job. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from container_executor.models import FailureClass, JobState, JobStatus, RankStatus, job_state
from container_executor_kube import names
from container_executor_kube.evidence import DEADLINE, container_of, rank_status, released
from container_executor_kube.waiting import Wait

Thing = Mapping[str, Any]


@attrs.frozen
class Sight:
    """All that is seen of one job.

    Attributes:
        job: The Job.
        pods: Its pods.
        remembered: Ends that were seen earlier, by rank: with a pod its exit code goes, too.
        wait: What events say about why it waits.
    """

    job: Thing
    pods: Sequence[Thing]
    remembered: Mapping[int, RankStatus] = attrs.field(factory=dict)
    wait: Wait = attrs.field(factory=Wait)

    @property
    def nodes(self) -> int:
        """How many pods there should be."""
        return int(self.job["spec"]["completions"])

    @property
    def per_pod(self) -> int:
        """Ranks of a pod."""
        return len(self.job["spec"]["template"]["spec"]["containers"])

    @property
    def gang(self) -> bool:
        """Ranks of several pods must meet before they start."""
        return self.nodes > 1

    @property
    def cancelled(self) -> bool:
        """We were told to cancel it."""
        return names.CANCELLED in names.annotations(self.job)

    @property
    def condition(self) -> Thing:
        """The condition that says that the Job is over, empty where it is not."""
        return next(
            (
                found
                for found in self.job.get("status", {}).get("conditions") or ()
                if found["type"] in ("Failed", "Complete") and found["status"] == "True"
            ),
            {},
        )

    def pod(self, index: int) -> Thing | None:
        """Return the pod of a node of the job."""
        return next((pod for pod in self.pods if index_of(pod) == index), None)

    def started(self) -> bool:
        """Tell whether a program of the user may have run."""
        if self.gang:
            return any(released(pod) for pod in self.pods)
        return any(
            "running" in state or "terminated" in state
            for pod in self.pods
            for local in range(self.per_pod)
            if (state := container_of(pod, local).get("state") or {})
        )


def index_of(pod: Thing) -> int:
    """Return which node of its job a pod is."""
    return int(pod["metadata"]["labels"][names.INDEX])


def job_status(sight: Sight) -> JobStatus:
    """Return the status of a job."""
    ranks = tuple(_rank(sight, rank) for rank in range(sight.nodes * sight.per_pod))
    state = job_state(ranks, len(ranks))
    if state is JobState.RUNNING and _half_released(ranks):
        state = JobState.HELD
    reason, failure = "", None
    if state is JobState.PENDING:
        wait = next((Wait(rank.reason, rank.failure) for rank in ranks if rank.reason), sight.wait)
        reason, failure = wait.words, wait.failure
    return JobStatus(state, ranks, failure, reason, str(sight.job["metadata"]["uid"]))


def ends(pod: Thing) -> dict[int, RankStatus]:
    """Return the ends that a pod proves, by rank."""
    containers = len(pod["spec"]["containers"])
    gang = _waits_for_release(pod)
    found = (rank_status(pod, local, index_of(pod) * containers + local, gang=gang) for local in range(containers))
    return {status.rank: status for status in found if status.state.ended}


def _waits_for_release(pod: Thing) -> bool:
    variables = pod["spec"]["containers"][0].get("env", ())
    return any(variable["name"] == "NODE_RANK" and "valueFrom" in variable for variable in variables)


def _rank(sight: Sight, rank: int) -> RankStatus:
    index, local = divmod(rank, sight.per_pod)
    pod = sight.pod(index)
    if pod is None:
        status = sight.remembered.get(rank) or _without_pod(sight, rank, index)
    else:
        status = rank_status(pod, local, rank, gang=sight.gang)
    return _cancelled(status) if sight.cancelled else status


def _cancelled(status: RankStatus) -> RankStatus:
    """Return the status of a rank that we were told to cancel: what it did not start it will not, and we took its pod away."""
    if status.failure is FailureClass.NEVER_STARTED:
        return attrs.evolve(status, state=JobState.CANCELLED, failure=None, reason="cancelled before it started")
    if status.state is JobState.HELD:
        return attrs.evolve(status, state=JobState.PENDING, reason="is being cancelled")
    if status.failure is FailureClass.VANISHED:
        state = {None: JobState.CANCELLED, 0: JobState.SUCCEEDED}.get(status.exit_code, JobState.FAILED)
        return attrs.evolve(status, state=state, failure=None, reason="cancelled")
    return status


def _without_pod(sight: Sight, rank: int, index: int) -> RankStatus:
    """Return what is known of a rank whose pod is not there: not yet, or not any more."""
    status = sight.job.get("status", {})
    if sight.cancelled and sight.job["spec"].get("suspend"):
        return RankStatus(rank, JobState.CANCELLED, reason="cancelled before it started")
    if index in indexes(str(status.get("completedIndexes") or "")):
        words = "its pod is gone; the Job says that it completed"
        return RankStatus(rank, JobState.SUCCEEDED, exit_code=0, reason=words)
    if sight.condition.get("reason") == DEADLINE:
        words = f"{DEADLINE}: {sight.condition.get('message', '')}"
        return RankStatus(rank, JobState.FAILED, failure=FailureClass.LEASE_EXPIRED, reason=words)
    if sight.condition or index in indexes(str(status.get("failedIndexes") or "")):
        words = "its pod is gone, and nobody saw how it ended: somebody deleted it"
        return RankStatus(rank, JobState.FAILED, failure=FailureClass.VANISHED, reason=words)
    return RankStatus(rank, JobState.PENDING)


def indexes(text: str) -> frozenset[int]:
    """Return the numbers that a Job writes as ``0,2-4``."""
    found: set[int] = set()
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return frozenset(found)


def _half_released(ranks: Sequence[RankStatus]) -> bool:
    """Tell whether a release has reached some pods only: it must be done again."""
    return any(rank.state is JobState.HELD for rank in ranks) and not any(
        rank.state in (JobState.PENDING, JobState.CANCELLED) for rank in ranks
    )
