"""The control plane: etcd, apiserver, controller-manager and scheduler, all on loopback."""

import subprocess
from pathlib import Path

from cluster import API_HOST, API_PORT, ETCD, ETCD_PEER, NODES, SERVICES, STATE, USERS, kubeconfig, kubectl

from common import credentials, programs


def start(built: Path) -> None:
    """Start what does not run and wait until the apiserver is ready; the others connect when they can."""
    start_etcd()
    start_apiserver(built)
    start_controllers(built)


def start_etcd() -> None:
    """Start etcd without syncs to disk: nothing here outlives the machine."""
    command = ["etcd", "--name=engines", f"--data-dir={STATE / 'etcd'}", "--unsafe-no-fsync", "--logger=zap"]
    command += [f"--listen-client-urls={ETCD}", f"--advertise-client-urls={ETCD}"]
    command += [f"--listen-peer-urls={ETCD_PEER}", f"--initial-advertise-peer-urls={ETCD_PEER}", f"--initial-cluster=engines={ETCD_PEER}"]
    programs.start(STATE, "etcd", command)


def start_apiserver(built: Path) -> None:
    """Start the apiserver; it makes its own certificate."""
    key = signing_key()
    programs.start(
        STATE,
        "apiserver",
        [
            built / "kube-apiserver",
            f"--etcd-servers={ETCD}",
            f"--bind-address={API_HOST}",
            f"--secure-port={API_PORT}",
            f"--advertise-address={NODES[0].address}",  # must not be a loopback address; nothing is reached by it
            f"--cert-dir={STATE / 'certificates'}",
            f"--token-auth-file={tokens()}",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={key}",
            f"--service-account-signing-key-file={key}",
            f"--service-cluster-ip-range={SERVICES}",
            "--endpoint-reconciler-type=none",
            "--kubelet-preferred-address-types=InternalIP",
            "--allow-privileged=true",
            "--profiling=false",
        ],
    )
    programs.await_answer(STATE, "apiserver", ready, seconds=120, every=0.3)


def ready() -> bool:
    """Tell whether the apiserver says that it is ready."""
    return kubectl("get", "--raw=/readyz", check=False) == "ok"


def start_controllers(built: Path) -> None:
    """Start the controller-manager and the scheduler.

    A silent node counts as lost after 20 s instead of 50 s, so that tests of node loss are short.
    """
    manager = ["--node-monitor-grace-period=20s", "--node-monitor-period=2s", f"--root-ca-file={STATE / 'certificates' / 'apiserver.crt'}"]
    manager += ["--pvclaimbinder-sync-period=1s"]  # by default a claim made before the controllers ran waits half a minute
    manager += ["--use-service-account-credentials"]  # rights are given to each controller, none to the manager
    manager += [f"--service-account-private-key-file={signing_key()}", "--profiling=false"]
    for name, options in (("controller-manager", manager), ("scheduler", [])):
        config = kubeconfig(f"system:kube-{name}")
        common = [f"--kubeconfig={config}", "--leader-elect=false", "--secure-port=0"]
        programs.start(STATE, name, [built / f"kube-{name}", *common, *options])


def tokens() -> Path:
    """Write the file of users and their tokens (https://kubernetes.io/docs/reference/access-authn-authz/authentication/#static-token-file)."""
    path = STATE / "secrets" / "tokens.csv"
    lines = [f'{credentials.secret(STATE, user.replace(":", "-"))},{user},{user},"{",".join(groups)}"' for user, groups in USERS.items()]
    path.write_text("\n".join(lines) + "\n")
    return path


def signing_key() -> Path:
    """Make the key of the service accounts' tokens once and return its file."""
    path = STATE / "secrets" / "service-accounts.key"
    if not path.exists():
        path.parent.mkdir(mode=0o700, exist_ok=True)
        subprocess.run(["openssl", "genrsa", "-out", path, "2048"], check=True, capture_output=True)
    return path
