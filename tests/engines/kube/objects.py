"""The objects that the tests find in the cluster: a namespace, the executor's rights in it, and a shared volume."""

import json

from cluster import CLAIM, CLAIM_DIR, NAMESPACE, kubectl

# What the executor may do, and nothing more: rights of a Role, so none outside of its namespace.
RIGHTS = (
    ("batch", ["jobs"], ["create", "get", "list", "watch", "patch", "delete"]),
    ("", ["pods"], ["get", "list", "watch", "patch", "delete"]),
    ("", ["pods/log"], ["get"]),
    ("", ["events"], ["list", "watch"]),
    ("", ["services"], ["create", "get", "list", "delete"]),
    ("", ["resourcequotas"], ["get", "list"]),
)


def apply() -> None:
    """Make what is missing and wait until the claim is bound and pods may use the namespace."""
    CLAIM_DIR.mkdir(exist_ok=True)
    CLAIM_DIR.chmod(0o1777)
    items = [namespace(), role(), binding(), volume(), claim()]
    kubectl("apply", "--filename=-", text=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    _wait(f"persistentvolumeclaim/{CLAIM}", "jsonpath={.status.phase}=Bound")
    _wait("serviceaccount/default", "create")
    _wait("configmap/kube-root-ca.crt", "create")  # a part of every pod that does not refuse the service account's token


def _wait(what: str, condition: str) -> None:
    """Wait for *condition* of *what*; what a missed one says is in the log of the controller-manager."""
    kubectl("wait", what, f"--for={condition}", "--timeout=45s", f"--namespace={NAMESPACE}")


def namespace() -> dict[str, object]:
    """Return the namespace of the tests' jobs."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}


def role() -> dict[str, object]:
    """Return the executor's rights."""
    rules = [{"apiGroups": [group], "resources": names, "verbs": verbs} for group, names, verbs in RIGHTS]
    return {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": _named("executor"), "rules": rules}


def binding() -> dict[str, object]:
    """Return what gives the Role to the executor's user."""
    group = "rbac.authorization.k8s.io"
    return {
        "apiVersion": f"{group}/v1",
        "kind": "RoleBinding",
        "metadata": _named("executor"),
        "roleRef": {"apiGroup": group, "kind": "Role", "name": "executor"},
        "subjects": [{"apiGroup": group, "kind": "User", "name": "executor"}],
    }


def volume() -> dict[str, object]:
    """Return the volume: a folder of the machine, which both nodes are on."""
    spec = {
        "capacity": {"storage": "1Gi"},
        "accessModes": ["ReadWriteMany"],
        "storageClassName": "",
        "hostPath": {"path": str(CLAIM_DIR)},
        "claimRef": _named(CLAIM),
    }
    return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": CLAIM}, "spec": spec}


def claim() -> dict[str, object]:
    """Return the claim to the volume."""
    resources = {"requests": {"storage": "1Gi"}}
    spec = {"accessModes": ["ReadWriteMany"], "storageClassName": "", "volumeName": CLAIM, "resources": resources}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": _named(CLAIM), "spec": spec}


def _named(name: str) -> dict[str, str]:
    return {"name": name, "namespace": NAMESPACE}
