"""How a cluster is for this program: each thing that would keep jobs from running, with what to do about it."""

from collections.abc import Iterator

from container_executor.errors import BackendError
from container_executor.models import Fault, Health
from container_executor_kube.cluster import Cluster
from container_executor_kube.errors import RIGHTS_FIX, translated

NEEDED = (
    ("batch", "jobs", ("create", "list", "get", "patch", "delete")),
    ("", "pods", ("list", "watch", "patch")),
    ("", "pods/log", ("get",)),
    ("", "events", ("list",)),
)
"""Group, resource and verbs of every call that the backend cannot do without."""


def probe(cluster: Cluster, *, user: str) -> Health:
    """Return the health of the site. Raises nothing."""
    try:
        with translated("ask for the version"):
            version = cluster.get("/version")
        with translated("ask for our rights"):
            faults = [*_missing_rights(cluster)]
    except BackendError as error:
        fix = "see that the apiserver is up and that kubeconfig in [backends.kube] names it with a valid login"
        return Health(reachable=False, faults=(Fault(str(error), fix),))
    if not user:
        faults.append(Fault("jobs would run as root", 'set user = "UID:GID" in [backends.kube]'))
    return Health(reachable=True, version=f"Kubernetes {version['gitVersion']}", faults=tuple(faults))


def _missing_rights(cluster: Cluster) -> Iterator[Fault]:
    for group, resource, verbs in NEEDED:
        missing = [verb for verb in verbs if not _allowed(cluster, group, resource, verb)]
        if missing:
            yield Fault(f"may not {', '.join(missing)} {resource} in namespace {cluster.namespace}", RIGHTS_FIX)


def _allowed(cluster: Cluster, group: str, resource: str, verb: str) -> bool:
    cluster.path("pods")  # so that the namespace is known
    kind, _, part = resource.partition("/")
    wanted = {"namespace": cluster.namespace, "group": group, "resource": kind, "subresource": part, "verb": verb}
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": wanted},
    }
    answer = cluster.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body)
    return bool(answer["status"].get("allowed"))
