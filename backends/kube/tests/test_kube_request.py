"""What is asked of Kubernetes, and what a site refuses."""

import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("kubernetes")

from container_executor_kube import KubeBackend, quota

from container_executor.errors import UnsupportedError
from container_executor.models import Capacity, JobSpec, Mark, Mount

MARK = Mark(owner="0123456789abcdef", colony="dev", process_id="ab" * 32)


def backend(**settings: Any) -> KubeBackend:
    return KubeBackend(**{"owner": MARK.owner, "user": "1000:1000", "pvc": "files", "shared": Path("/cfs"), **settings})


def planned(site: KubeBackend, **fields: Any) -> dict[str, Any]:
    job = JobSpec(**{"image": "busybox", "argv": ("true",), "mark": MARK, **fields})
    pod: dict[str, Any] = site.plan(job).request["spec"]["template"]["spec"]
    return pod


def refused(site: KubeBackend, **fields: Any) -> str:
    with pytest.raises(UnsupportedError) as refusal:
        planned(site, **fields)
    return str(refusal.value)


def test_no_dollar_is_expanded_by_kubernetes() -> None:
    (container,) = planned(backend(), argv=("echo", "$(HOME) $$"), env={"A": "$(B)"})["containers"]

    assert container["args"][-1] == "$$(HOME) $$$$"
    assert {"name": "A", "value": "$$(B)"} in container["env"]


def test_a_directory_of_the_claim_is_mounted_by_its_path_in_it() -> None:
    pod = planned(backend(), mounts=(Mount("/cfs/job 1/in", "/in", read_only=True),))

    assert pod["containers"][0]["volumeMounts"][-1] == {
        "name": "claim",
        "mountPath": "/in",
        "readOnly": True,
        "subPath": "job 1/in",
    }
    assert pod["volumes"][-1]["persistentVolumeClaim"] == {"claimName": "files"}


@pytest.mark.parametrize(
    ("taint", "toleration"),
    [
        ("gpu", {"key": "gpu", "operator": "Exists"}),
        ("gpu:NoSchedule", {"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}),
        ("example.com/gpu=a100", {"key": "example.com/gpu", "operator": "Equal", "value": "a100"}),
        ("gpu=:NoExecute", {"key": "gpu", "operator": "Equal", "value": "", "effect": "NoExecute"}),
    ],
)
def test_a_pod_may_run_in_spite_of_a_taint(taint: str, toleration: dict[str, str]) -> None:
    assert toleration in planned(backend(tolerations=(taint,)))["tolerations"]


@pytest.mark.parametrize("taint", ["", "gpu=yes:Never", "a b", "=yes"])
def test_what_is_no_taint_is_refused(taint: str) -> None:
    with pytest.raises(ValueError, match="is no taint; write KEY"):
        backend(tolerations=("gpu", taint))


@pytest.mark.parametrize("source", ["/etc", "/cfs/../etc", "/cfsother"])
def test_a_directory_outside_of_the_claim_is_refused(source: str) -> None:
    assert "/cfs" in refused(backend(), mounts=(Mount(source, "/in"),))


def test_without_a_claim_nothing_is_mounted() -> None:
    assert "pvc" in refused(backend(pvc=""), mounts=(Mount("/cfs/a", "/in"),))


def test_a_root_daemon_must_be_told_whom_jobs_run_as(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)

    assert 'user = "UID:GID"' in refused(backend(user="", dev=False))


def test_gpus_are_asked_for_by_the_names_of_the_site() -> None:
    site = backend(gpu_resources={"": "nvidia.com/gpu", "mi300": "amd.com/gpu"})

    (container,) = planned(site, gpus=2, gpu_name="mi300")["containers"]

    assert container["resources"]["limits"] == {"amd.com/gpu": "2"}
    assert "mi300" in refused(site, gpus=1, gpu_name="h100")


def test_ranks_of_a_node_are_containers_of_a_pod_and_nodes_are_kept_apart() -> None:
    pod = planned(backend(), nodes=2, processes_per_node=3)

    assert [container["name"] for container in pod["containers"]] == ["rank-0", "rank-1", "rank-2"]
    (rule,) = pod["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert rule["topologyKey"] == "kubernetes.io/hostname"


def test_an_argument_that_the_kernel_refuses_is_refused_first() -> None:
    assert "131072 bytes" in refused(backend(), argv=("echo", "x" * 131_072))


def test_a_job_asks_for_no_rights_and_gets_no_token() -> None:
    pod = planned(backend())

    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsUser"] == 1000
    assert pod["containers"][0]["securityContext"]["allowPrivilegeEscalation"] is False


@pytest.mark.parametrize(
    ("text", "number"), [("250m", "0.25"), ("2", "2"), ("1Gi", "1073741824"), ("5k", "5000"), ("1.5M", "1500000")]
)
def test_quantities_are_read(text: str, number: str) -> None:
    assert quota.quantity(text) == Decimal(number)


def test_the_strictest_quota_counts() -> None:
    quotas = [
        {"status": {"hard": {"requests.cpu": "4", "limits.cpu": "8"}, "used": {"requests.cpu": "1500m"}}},
        {"status": {"hard": {"limits.memory": "1Gi", "pods": "10"}, "used": {"limits.memory": "2Gi"}}},
    ]

    assert quota.free(quotas, ["nvidia.com/gpu"]) == Capacity(cpu=2500, memory=0)
    assert quota.total(quotas, ["nvidia.com/gpu"]) == Capacity(cpu=4000, memory=2**30)
    assert quota.free([], []) is None
