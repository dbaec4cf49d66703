"""The nodes: each a containerd and a kubelet in a mount namespace of its own, where the usual paths are the node's folders.

Two kubelets on one file system delete each other's logs below /var/log/pods and take over each other's device socket;
with their own /var and /run they do not meet, and their mounts end with the namespace.
"""

import json
import subprocess
import urllib.request
from functools import partial
from pathlib import Path

from cluster import BRIDGE, NODES, PODS, STATE, Node, kubeconfig, kubectl

from common import cgroups, containerd, images, places, programs, waiting

# Folders that a kubelet, a containerd and its network plugins use under fixed names.
OWN = (
    "/var/lib/kubelet",
    "/var/lib/cni",
    "/var/log/pods",
    "/var/log/containers",
    "/run/containerd",
    "/run/netns",
    "/usr/libexec/kubernetes",
)
ENTER = 'while [ "$1" != -- ]; do mount --bind "$1" "$2" || exit 1; shift 2; done; touch "$2"; exec sleep infinity'
PAUSE = "docker.io/library/pause:latest"
CNI_PLUGINS = "/usr/lib/cni"


def start(node: Node, built: Path) -> None:
    """Start what does not run of *node* and give its containerd the images."""
    enter = namespace(node)
    socket = containerd.start(STATE, node.programs[1], cri=cri_of(node), enter=enter)
    if "docker.io/library/entrypoint:latest" not in containerd.ctr(socket, "--namespace=k8s.io", "images", "list", "--quiet").stdout:
        archive = images.archive([*images.standard(), images.pause()], node.folder / "images.tar")
        containerd.ctr(socket, "--namespace=k8s.io", "images", "import", archive)
    cgroups.make(f"kube/{node.name}")
    config = node.folder / "kubelet.json"
    config.write_text(json.dumps(kubelet_of(node, socket), indent=1))
    command = [built / "kubelet", f"--config={config}", f"--kubeconfig={kubeconfig(f'system:node:{node.name}')}"]
    command += [f"--hostname-override={node.name}", f"--node-ip={node.address}"]
    programs.start(STATE, node.programs[0], [*enter, *command])


def namespace(node: Node) -> list[str]:
    """Make the mount namespace of *node* unless it is there, and return the words to start a program in it."""
    ready = node.folder / "namespace-is-ready"
    if not programs.running(STATE, node.name):
        ready.unlink(missing_ok=True)
        pairs = [str(path) for target in OWN for path in (own_folder(node, target), target)]
        command = ["unshare", "--mount", "--propagation=slave", "sh", "-c", ENTER, node.name, *pairs, "--", str(ready)]
        programs.start(STATE, node.name, command)
    waiting.until(f"the namespace of {node.name}", ready.exists, seconds=20, log=programs.log_of(STATE, node.name))
    subprocess.run(["ip", "address", "replace", f"{node.address}/32", "dev", "lo"], check=True)
    return ["nsenter", f"--mount=/proc/{programs.pid(STATE, node.name)}/ns/mnt", "--"]


def own_folder(node: Node, target: str) -> Path:
    """Return the folder that *node* sees as *target*; both exist afterwards."""
    folder = node.folder / target.strip("/").replace("/", "-")
    folder.mkdir(parents=True, exist_ok=True)
    places.lend(STATE, Path(target))
    return folder


def wait_until_ready() -> None:
    """Wait until every node's kubelet answers and the node takes pods: a node that was away for seconds was Ready all along."""
    for node in NODES:
        kubelet = node.programs[0]
        programs.await_answer(STATE, kubelet, partial(answers, node), every=0.3)
        waiting.until(
            f"the readiness of {node.name}", partial(takes_pods, node), seconds=120, every=0.3, log=programs.log_of(STATE, kubelet)
        )


def answers(node: Node) -> bool:
    """Tell whether the kubelet of *node* is at work."""
    try:
        with urllib.request.urlopen(f"http://{node.address}:10248/healthz", timeout=5) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False


def takes_pods(node: Node) -> bool:
    """Tell whether *node* is Ready and has no taint but its own."""
    found = json.loads(kubectl("get", "node", node.name, "--output=json", check=False) or "{}")
    conditions = {item["type"]: item["status"] for item in found.get("status", {}).get("conditions", [])}
    return conditions.get("Ready") == "True" and found["spec"].get("taints", []) == taints_of(node)


def taints_of(node: Node) -> list[dict[str, str]]:
    """Return the taints that *node* has as long as all is well."""
    return [dict(zip(("key", "value", "effect"), node.taint, strict=True))] if node.taint else []


def cri_of(node: Node) -> str:
    """Return containerd's configuration as a node's runtime."""
    network = node.folder / "network"
    network.mkdir(exist_ok=True)
    (network / "10-pods.conflist").write_text(json.dumps(pod_network(), indent=1))
    return (
        '[plugins."io.containerd.grpc.v1.cri"]\n'
        f'sandbox_image = "{PAUSE}"\n'
        "restrict_oom_score_adj = true\n"  # without CAP_SYS_RESOURCE no score may be lowered
        "disable_apparmor = true\n"
        f'[plugins."io.containerd.grpc.v1.cri".cni]\nbin_dir = "{CNI_PLUGINS}"\nconf_dir = "{network}"\n'
    )


def pod_network() -> dict[str, object]:
    """Return the network of all pods: one bridge for all nodes, addresses from one store."""
    addresses = {"type": "host-local", "dataDir": str(STATE / "pod-addresses"), "ranges": [[{"subnet": PODS}]]}
    addresses["routes"] = [{"dst": "0.0.0.0/0"}]
    bridge = {"type": "bridge", "bridge": BRIDGE, "isGateway": True, "ipMasq": False, "ipam": addresses}
    return {"cniVersion": "0.4.0", "name": "pods", "plugins": [bridge]}


def kubelet_of(node: Node, socket: Path) -> dict[str, object]:
    """Return the kubelet's configuration (https://kubernetes.io/docs/reference/config-api/kubelet-config.v1beta1/)."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": node.address,
        "healthzBindAddress": node.address,
        "containerRuntimeEndpoint": f"unix://{socket}",
        "featureGates": {"KubeletInUserNamespace": True},  # goes on where it may not write an oom score or a sysctl
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": cgroups.path(f"kube/{node.name}"),
        # No name server is there: a look-up is refused at once, and no pod gets the warning that there is none.
        "clusterDNS": [node.address],
        "clusterDomain": "cluster.local",
        "failSwapOn": False,
        "makeIPTablesUtilChains": False,
        "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
        "authorization": {"mode": "AlwaysAllow"},
        "containerLogMaxSize": node.log_size,
        "containerLogMonitorInterval": "3s",
        "registerWithTaints": taints_of(node),
        "nodeLeaseDurationSeconds": 12,
        "serializeImagePulls": False,
        "evictionHard": {"memory.available": "100Mi"},  # a developer's full disk is no reason to refuse pods
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
    }
