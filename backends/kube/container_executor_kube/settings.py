"""What a site decides about the pods of jobs."""

import enum
import re
from collections.abc import Mapping
from typing import Any

import attrs

_TAINT = re.compile(r"[\w./-]+(=[\w.-]*)?(:(NoSchedule|PreferNoSchedule|NoExecute))?", re.ASCII)


class Pull(enum.StrEnum):
    """When nodes pull an image."""

    ALWAYS = "always"
    MISSING = "missing"
    NEVER = "never"

    @property
    def policy(self) -> str:
        """Return Kubernetes' word for it."""
        return {"always": "Always", "missing": "IfNotPresent", "never": "Never"}[self.value]


def check_taints(_settings: object, _field: object, taints: tuple[str, ...]) -> None:
    """Refuse what is no taint."""
    for taint in taints:
        if not _TAINT.fullmatch(taint):
            raise ValueError(
                f"{taint!r} is no taint; write KEY, KEY=VALUE or KEY=VALUE:EFFECT, as kubectl taint does, with the effect "
                "NoSchedule, PreferNoSchedule or NoExecute"
            )


def toleration_of(taint: str) -> dict[str, Any]:
    """Return what a pod says that may run in spite of a taint; without a value any will do, without an effect all."""
    named, _, effect = taint.partition(":")
    key, found, value = named.partition("=")
    wanted = {"operator": "Equal", "value": value} if found else {"operator": "Exists"}
    return {"key": key, **wanted, **({"effect": effect} if effect else {})}


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
        tolerations: Taints of nodes in spite of which jobs run there.
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
    tolerations: tuple[str, ...] = ()
    priority_class: str = ""
    node_lost_after: int = 30
