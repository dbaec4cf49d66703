"""The cluster of the tests: names, addresses and who may do what; the other modules here start its parts."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import binaries

from common import credentials, places, programs
from common.report import EngineError
from common.waiting import tail

STATE = places.state("kube")
NAMESPACE, CLAIM, CLAIM_DIR = "jobs", "shared", STATE / "claim"
ETCD, ETCD_PEER = "http://127.0.0.1:12379", "http://127.0.0.1:12380"
API_HOST, API_PORT = "127.0.0.1", 16443
# 198.18.0.0/15 is set apart for measurements (RFC 2544), so no site routes it; the docker engine has the lower half.
BRIDGE, PODS, SERVICES = "ce-cni0", "198.19.0.0/20", "198.19.128.0/20"


@dataclass(frozen=True)
class Node:
    """One node.

    Attributes:
        name: Its name.
        address: Its address on the loopback link, which tells the kubelets of one machine apart.
        log_size: What it keeps of an output before it rotates it; looked at every 3 s.
        taint: Key, value and effect of what keeps jobs away, unless they say that they tolerate it.
    """

    name: str
    address: str
    # The default, 10Mi, is less than the bursts of tests on machines that are too busy to read them.
    log_size: str = "32Mi"
    taint: tuple[str, str, str] | None = None

    @property
    def folder(self) -> Path:
        """The folder with all that the node keeps."""
        return STATE / self.name

    @property
    def programs(self) -> tuple[str, str]:
        """The node's long-running programs, in the order of ending them."""
        return f"{self.name}-kubelet", f"{self.name}-containerd"


ROTATING = Node("node3", "198.19.255.3", log_size="1Mi", taint=("logs", "rotated", "NoSchedule"))
NODES = (Node("node1", "198.19.255.1"), Node("node2", "198.19.255.2"), ROTATING)
CONTROL_PLANE = ("scheduler", "controller-manager", "apiserver", "etcd")
PROGRAMS = (*(name for node in NODES for name in node.programs), *CONTROL_PLANE, *(node.name for node in NODES))

# Who may log in: user -> groups. Rights come from RBAC: Kubernetes' own roles for its parts, our Role for the executor.
USERS = {
    "admin": ["system:masters"],
    "system:kube-controller-manager": [],
    "system:kube-scheduler": [],
    **{f"system:node:{node.name}": ["system:nodes"] for node in NODES},
    "executor": [],
    "nobody": [],
}


def kubeconfig(user: str) -> Path:
    """Write the configuration by which *user* reaches the apiserver, with the certificate to check it by, and return it."""
    path = STATE / "kubeconfigs" / user.replace(":", "-")
    path.parent.mkdir(exist_ok=True)
    server = {"server": f"https://{API_HOST}:{API_PORT}", "certificate-authority": str(STATE / "certificates" / "apiserver.crt")}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "engines", "cluster": server}],
        "users": [{"name": user, "user": {"token": credentials.secret(STATE, user.replace(":", "-"))}}],
        "contexts": [{"name": "engines", "context": {"cluster": "engines", "user": user, "namespace": NAMESPACE}}],
        "current-context": "engines",
    }
    text = json.dumps(document, indent=1)
    if not path.exists() or path.read_text() != text:  # never half-written under a reader's eyes
        path.write_text(text)
    return path


def kubectl(*args: str | Path, text: str | None = None, check: bool = True) -> str:
    """Run kubectl as the administrator with *text* as its input and return its output, empty where it fails unless *check*.

    Raises:
        EngineError: it failed.
    """
    command = [binaries.built() / "kubectl", "--kubeconfig", kubeconfig("admin"), "--request-timeout=10s", *args]
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60)
    if check and done.returncode != 0:
        raise EngineError(f"kubectl {' '.join(map(str, args))}: {done.stderr}{tail(programs.log_of(STATE, 'apiserver'))}")
    return done.stdout if done.returncode == 0 else ""
