"""Where the output of each rank is to be read, from what is seen of its job. Pure."""

from collections.abc import Mapping

import attrs

from container_executor.models import JobState
from container_executor_kube import names
from container_executor_kube.evidence import container_of
from container_executor_kube.verdict import Sight, job_status


@attrs.frozen
class Source:
    """The output of one rank.

    Attributes:
        pod: Its pod, "" where that is gone.
        container: Its container.
        begun: There is a log.
        ended: Nothing more will be written.
    """

    pod: str
    container: str
    begun: bool
    ended: bool


def sources(sight: Sight) -> Mapping[int, Source]:
    """Return where the output of each rank is."""
    found = {}
    for status in job_status(sight).ranks:
        index, local = divmod(status.rank, sight.per_pod)
        pod = sight.pod(index)
        name = "" if pod is None else str(pod["metadata"]["name"])
        state = {} if pod is None else container_of(pod, local).get("state") or {}
        begun = "running" in state or "containerID" in state.get("terminated", {})
        ended = status.state.ended and "running" not in state
        if pod is not None or ended:
            found[status.rank] = Source(name, names.container_name(local), begun, ended)
        elif status.state is not JobState.PENDING:
            found[status.rank] = Source("", names.container_name(local), begun=False, ended=True)
    return found
