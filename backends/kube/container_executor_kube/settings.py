"""What a site decides about the pods of jobs."""

import enum
from collections.abc import Mapping

import attrs


class Pull(enum.StrEnum):
    """When nodes pull an image."""

    ALWAYS = "always"
    MISSING = "missing"
    NEVER = "never"

    @property
    def policy(self) -> str:
        """Return Kubernetes' word for it."""
        return {"always": "Always", "missing": "IfNotPresent", "never": "Never"}[self.value]


@attrs.frozen
class Site:
    """What the site decided about pods.

    Attributes:
        user: ``uid:gid`` of every program.
        namespace: Where jobs go; "" leaves it to the connection.
        pull: ``imagePullPolicy``.
        pull_secrets: Names of Secrets with the logins of registries.
        claim: The PersistentVolumeClaim that holds the daemon's directories, "" for none.
        claim_folder: Where the daemon sees that claim.
        tmp_size: Bytes of ``/tmp`` and of the home directory each.
        gpu_resources: By name of a GPU, the resource that stands for it; "" for any.
        node_selector: Labels of the nodes that jobs may run on.
        priority_class: Name of a PriorityClass, "" for the cluster's default.
        node_lost_after: Seconds after which a node that does not answer counts as lost.
    """

    user: str
    namespace: str = ""
    pull: str = "IfNotPresent"
    pull_secrets: tuple[str, ...] = ()
    claim: str = ""
    claim_folder: str = ""
    tmp_size: int = 2**30
    gpu_resources: Mapping[str, str] = attrs.field(factory=dict)
    node_selector: Mapping[str, str] = attrs.field(factory=dict)
    priority_class: str = ""
    node_lost_after: int = 30
