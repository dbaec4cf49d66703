"""Where the output of each rank is to be read, from what is seen of its job. Pure."""

from collections.abc import Mapping
from typing import Any

import attrs

from container_executor.models import JobState
from container_executor_kube import names
from container_executor_kube.evidence import container_of, time_of
from container_executor_kube.verdict import Sight, job_status


@attrs.frozen
class Source:
    """The output of one rank.

    Attributes:
        pod: Its pod, "" where that is gone.
        container: Its container.
        begun: There is a log.
        ended: Nothing more will be written.
        lost: It may have written something, and that went with its pod.
    """

    pod: str
    container: str
    begun: bool
    ended: bool
    lost: bool = False


def sources(sight: Sight) -> Mapping[int, Source]:
    """Return where the output of each rank is."""
    found = {}
    for status in job_status(sight).ranks:
        index, local = divmod(status.rank, sight.per_pod)
        pod, container = sight.pod(index), names.container_name(local)
        if pod is not None:
            begun = _begun(container_of(pod, local).get("state") or {})
            found[status.rank] = Source(str(pod["metadata"]["name"]), container, begun, status.state.ended)
        elif status.state.ended:
            lost = status.state is not JobState.CANCELLED
            found[status.rank] = Source("", container, begun=False, ended=True, lost=lost)
    return found


def _begun(state: Mapping[str, Any]) -> bool:
    return "running" in state or time_of(state.get("terminated", {}).get("startedAt")) is not None
