"""What only a real cluster of two nodes can show: disruptions, outages, rights, and ranks that must start together."""

import json
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path
from threading import Event, Thread
from typing import Any

import attrs
import pytest

pytest.importorskip("kubernetes")

from container_executor_kube import KubeBackend, manifest, names, watching

from container_executor.errors import UnavailableError
from container_executor.models import FailureClass, Handle, JobSpec, JobState
from container_executor.testing.bench import Bench, wait_for

pytestmark = [pytest.mark.engine("kube")]
PATIENCE = timedelta(seconds=90)
KEPT = "container-executor.test/kept"
TWO_NODES = {"nodes": 2, "processes_per_node": 1}

MakeBench = Callable[..., Bench]


@pytest.fixture
def make_bench(make_backend: Callable[..., KubeBackend], kube: Mapping[str, str]) -> Iterator[MakeBench]:
    """Make a bench around a backend with settings of one's own; nothing of it is left afterwards."""
    made: list[Bench] = []

    def make(**settings: Any) -> Bench:
        shared = Path(kube["CE_KUBE_CLAIM_DIR"]) / secrets.token_hex(4)
        shared.mkdir()
        made.append(Bench(make_backend(**settings), kube["CE_KUBE_IMAGE"], PATIENCE, timedelta(seconds=1.2), shared))
        return made[-1]

    yield make
    for bench in made:
        wait_for(partial(_empty, bench.backend), 2 * PATIENCE, "the removal of what this test left behind")


@pytest.fixture
def admin(kube: Mapping[str, str]) -> Callable[..., str]:
    """Run kubectl as the administrator."""

    def run(*args: str) -> str:
        command = [kube["CE_KUBECTL"], "--kubeconfig", kube["CE_KUBECONFIG_ADMIN"], "-n", kube["CE_KUBE_NAMESPACE"]]
        return subprocess.run([*command, *args], check=True, capture_output=True, text=True, timeout=60).stdout

    return run


def _empty(backend: Any) -> bool:
    found = backend.list_jobs()
    for job in found:
        backend.remove(job.handle)
    return not found


@pytest.fixture
def keep(admin: Callable[..., str]) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """Let a pod be seen after its end, until the test is over; else it can be gone before anybody looks."""
    kept: list[str] = []

    def hold(pod: Mapping[str, Any]) -> None:
        kept.append(pod["metadata"]["name"])
        _patch(admin, kept[-1], {"op": "add", "path": "/metadata/finalizers/0", "value": KEPT})

    yield hold
    for name in kept:
        here = json.loads(admin("get", "pod", name, "-o", "json"))["metadata"]["finalizers"].index(KEPT)
        _patch(admin, name, {"op": "remove", "path": f"/metadata/finalizers/{here}"})


def _patch(admin: Callable[..., str], pod: str, *operations: Mapping[str, str]) -> None:
    admin("patch", "pod", pod, "--type=json", "-p", json.dumps(operations))


def _is_over(admin: Callable[..., str], pod: Mapping[str, Any]) -> bool:
    return admin("get", "pod", pod["metadata"]["name"], "-o", "jsonpath={.status.phase}") in ("Failed", "Succeeded")


def pods_of(bench: Bench, handle: Handle) -> list[Mapping[str, Any]]:
    return list(_kube(bench)._cluster.find("pods", labelSelector=f"{names.JOB}={handle.job_id}"))


def _kube(bench: Bench) -> KubeBackend:
    assert isinstance(bench.backend, KubeBackend)
    return bench.backend


# --- ranks ------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("alone")
def test_no_rank_runs_while_only_one_of_two_nodes_can_be_had(make_bench: MakeBench, admin: Callable[..., str]) -> None:
    bench = make_bench()
    witness = bench.witness()
    admin("cordon", "node2")
    try:
        witness.handle = bench.start(witness.trace, mounts=witness.mounts, **TWO_NODES)
        half = bench.until(
            witness.handle,
            lambda status: {rank.state for rank in status.ranks} == {JobState.HELD, JobState.PENDING},
            "one rank that waits for the other",
        )
        bench.backend.release(witness.handle)

        witness.falls_silent()
        assert witness.count() == 0
        assert half.state is JobState.PENDING
        assert half.failure is FailureClass.UNSCHEDULABLE
        assert "unschedulable" in half.reason
    finally:
        admin("uncordon", "node2")
    assert bench.ended(witness.handle).state is JobState.SUCCEEDED
    assert witness.count() == 2


def test_a_failure_on_the_second_node_is_named_and_the_first_can_be_ended(make_bench: MakeBench) -> None:
    bench = make_bench()
    handle = bench.start("if [ $RANK = 1 ]; then sleep 1; exit 7; fi; sleep 100", **TWO_NODES)

    failed = bench.until(handle, lambda status: status.failed_rank, "the failure").failed_rank

    assert failed is not None
    assert (failed.rank, failed.exit_code) == (1, 7)
    bench.backend.cancel(handle)
    assert [rank.exit_code for rank in bench.ended(handle).ranks] == [143, 7]


def test_ranks_on_two_nodes_meet_without_a_name_server(make_bench: MakeBench) -> None:
    bench = make_bench()
    line = (
        # Rank 0 sends nothing, not even its end, before it has all: nc sends no more once it has read the end of the other side.
        "if [ $RANK = 0 ]; then nc -l -p $MASTER_PORT -e sh -c 'cat >&2'; "
        'else until echo "from $RANK" | nc $MASTER_ADDR $MASTER_PORT; do sleep 0.2; done; fi'
    )

    handle = bench.start(line, **TWO_NODES)

    assert bench.output(handle) == b"from 1\n"


def test_a_job_that_is_cancelled_before_its_release_runs_nothing(make_bench: MakeBench) -> None:
    bench = make_bench()
    witness = bench.witness()
    handle = bench.start(witness.trace, mounts=witness.mounts, **TWO_NODES)

    def held() -> bool:
        return bench.backend.status([handle])[handle.job_id].state is JobState.HELD

    wait_for(held, PATIENCE, "the state held")
    bench.backend.cancel(handle)

    assert bench.ended(handle).state is JobState.CANCELLED
    assert bench.follow(handle)[-1].end
    assert witness.count() == 0


# --- time -------------------------------------------------------------------------------------------------------------


def _submit_late(bench: Bench, job: JobSpec, *, lifetime: float, late: float) -> Handle:
    """Submit a job whose pod is placed so many seconds after the submit, as on a full cluster."""
    seconds = timedelta(seconds=lifetime)
    request = manifest.with_lifetime(bench.plan(job).request, grace=job.grace, lifetime=seconds, now=time.time() - late)
    made = _kube(bench)._cluster.create("jobs", request)
    return Handle(job.job_id, made["metadata"]["uid"])


def test_a_pod_that_is_placed_late_is_ended_with_its_job_all_the_same(make_bench: MakeBench) -> None:
    bench = make_bench()
    witness = bench.witness()
    line = f"trap 'echo checkpoint; exit 4' TERM; {witness.ticking}"
    job = bench.job(("sh", "-c", line), mounts=witness.mounts)

    witness.handle = _submit_late(bench, job, lifetime=600, late=592)

    witness.seen()
    witness.falls_silent()
    assert bench.ended(witness.handle).ranks[0].exit_code == 4
    assert b"checkpoint" in bench.output(witness.handle).splitlines()


def test_a_pod_that_is_placed_after_the_end_of_its_job_starts_no_program(make_bench: MakeBench) -> None:
    bench = make_bench()
    witness = bench.witness()
    job = bench.job(witness.trace, mounts=witness.mounts)

    handle = _submit_late(bench, job, lifetime=60, late=70)

    (rank,) = bench.ended(handle).ranks
    assert (rank.failure, rank.exit_code) == (FailureClass.NEVER_STARTED, None)
    assert witness.count() == 0


# --- what waits -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "fields", "words"),
    [
        ({}, {"cpu": 9_000_000}, "Insufficient cpu"),
        ({"priority_class": "no-such-class"}, {}, "no-such-class"),
        ({"pull_secrets": ("no-such-secret",)}, {"image": "127.0.0.1:9/away:latest"}, "connection refused"),
    ],
    ids=["too much cpu", "refused by admission", "registry away"],
)
def test_a_job_that_waits_says_why_and_can_be_cancelled(
    make_bench: MakeBench, settings: dict[str, Any], fields: dict[str, Any], words: str
) -> None:
    bench = make_bench(**settings)

    handle = bench.start("echo never", **fields)

    status = bench.until(handle, lambda status: words in status.reason, f"the words {words!r}")
    assert status.state is JobState.PENDING
    assert status.failure is not None
    bench.backend.cancel(handle)
    assert bench.ended(handle).state is JobState.CANCELLED
    assert bench.follow(handle)[-1].end


def test_a_job_that_is_cancelled_while_its_image_is_pulled_never_started(
    make_bench: MakeBench, keep: Callable[[Mapping[str, Any]], None], admin: Callable[..., str]
) -> None:
    bench, handle, pod = _pulled(make_bench)
    keep(pod)

    bench.backend.cancel(handle)

    wait_for(lambda: _is_over(admin, pod), PATIENCE, "the end of the pod")
    assert bench.ended(handle).state is JobState.CANCELLED


def test_a_pod_that_is_evicted_while_its_image_is_pulled_was_not_lost(
    make_bench: MakeBench, keep: Callable[[Mapping[str, Any]], None], admin: Callable[..., str]
) -> None:
    bench, handle, pod = _pulled(make_bench)
    keep(pod)

    _evict(admin, pod, bench.folder() / "eviction.json")

    wait_for(lambda: _is_over(admin, pod), PATIENCE, "the end of the pod")
    (rank,) = bench.ended(handle).ranks
    assert (rank.state, rank.failure, rank.exit_code) == (JobState.FAILED, FailureClass.EVICTED, None)


def _pulled(make_bench: MakeBench) -> tuple[Bench, Handle, Mapping[str, Any]]:
    """Start a job whose image is pulled again and again; also return its pod."""
    bench = make_bench()
    handle = bench.start("echo never", image="127.0.0.1:9/away:latest")
    bench.until(handle, lambda status: "connection refused" in status.reason, "the refusal of the registry")
    (pod,) = pods_of(bench, handle)
    return bench, handle, pod


def test_a_claim_that_is_not_there_is_named(make_bench: MakeBench) -> None:
    bench = make_bench(pvc="no-such-claim")

    handle = bench.start("true", mounts=bench.witness().mounts)

    assert bench.until(handle, lambda status: "no-such-claim" in status.reason, "the name of the claim").failure


# --- what is taken away -----------------------------------------------------------------------------------------------


def test_a_pod_that_somebody_deletes_is_named_and_nothing_is_started_again(
    make_bench: MakeBench, admin: Callable[..., str]
) -> None:
    bench = make_bench()
    witness = bench.ticking()
    assert witness.handle is not None
    (pod,) = pods_of(bench, witness.handle)

    admin("delete", "pod", pod["metadata"]["name"], "--wait=false")

    (rank,) = bench.ended(witness.handle).ranks
    assert (rank.state, rank.failure) == (JobState.FAILED, FailureClass.VANISHED)
    witness.falls_silent()
    wait_for(lambda: not pods_of(bench, witness.handle) if witness.handle else None, PATIENCE, "the end of the pod")
    (later,) = bench.ended(witness.handle).ranks
    assert later.failure is FailureClass.VANISHED
    chunks = bench.follow(witness.handle)
    assert chunks[-1].end


def _evict(admin: Callable[..., str], pod: Mapping[str, Any], request: Path) -> None:
    name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
    request.write_text(json.dumps({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}))
    admin("create", "--raw", f"/api/v1/namespaces/{namespace}/pods/{name}/eviction", "-f", str(request))


def test_a_pod_that_is_evicted_is_told_from_one_that_failed(make_bench: MakeBench, admin: Callable[..., str]) -> None:
    bench = make_bench()
    handle = bench.start("sleep 100")
    bench.running(handle)
    (pod,) = pods_of(bench, handle)

    _evict(admin, pod, bench.folder() / "eviction.json")

    (rank,) = bench.ended(handle).ranks
    assert (rank.failure, rank.exit_code) == (FailureClass.EVICTED, 143)
    assert "EvictionByEvictionAPI" in rank.reason


@pytest.mark.usefixtures("alone")
def test_a_node_that_does_not_answer_is_lost_and_its_job_with_it(
    make_bench: MakeBench, kube: Mapping[str, str]
) -> None:
    bench = make_bench(node_selector={"kubernetes.io/hostname": "node2"}, node_lost_after=timedelta(seconds=1))
    handle = bench.start("sleep 300")
    bench.running(handle)
    subprocess.run([kube["CE_KUBE_NODE2"], "stop"], check=True, timeout=60)
    try:
        (rank,) = bench.ended(handle).ranks
    finally:
        subprocess.run([kube["CE_KUBE_NODE2"], "start"], check=True, timeout=180)

    assert (rank.state, rank.failure, rank.exit_code) == (JobState.FAILED, FailureClass.NODE_LOST, None)


# --- the apiserver ----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("alone")
def test_a_job_goes_on_while_the_apiserver_is_away(make_bench: MakeBench, kube: Mapping[str, str]) -> None:
    bench = make_bench()
    handle = bench.start("i=0; while [ $i -lt 60 ]; do i=$((i + 1)); echo $i; sleep 0.1; done; exit 3")
    bench.until(handle, lambda _status: bench.read(handle), "the first line")
    subprocess.run([kube["CE_KUBE_APISERVER"], "kill"], check=True, timeout=60)
    try:
        with pytest.raises(UnavailableError):
            bench.backend.status([handle])
    finally:
        subprocess.run([kube["CE_KUBE_APISERVER"], "start"], check=True, timeout=180)

    assert bench.ended(handle).ranks[0].exit_code == 3
    assert bench.output(handle) == b"".join(b"%d\n" % number for number in range(1, 61))


def test_a_watch_that_is_too_far_behind_begins_anew(make_bench: MakeBench) -> None:
    bench = make_bench()
    backend = _kube(bench)
    handle = bench.start("true")
    bench.ended(handle)

    version = watching._changes(backend._cluster, backend._mine(), "1", lambda _pod: None, Event())

    assert not version, "410: all must be listed anew"
    seen: list[str] = []
    stop = Event()

    def see(pod: Mapping[str, Any]) -> None:
        seen.append(watching.job_of(pod))
        stop.set()

    watching.follow(backend._cluster, backend._mine(), see, stop)
    assert set(seen) == {handle.job_id}


def test_a_login_without_rights_is_told_what_to_do(
    make_backend: Callable[..., KubeBackend], make_bench: MakeBench, kube: Mapping[str, str]
) -> None:
    nobody = make_backend(kubeconfig=Path(kube["CE_KUBECONFIG_NORIGHTS"]))

    health = nobody.probe()

    assert health.reachable
    assert {fault.what.split(" in namespace")[0] for fault in health.faults} >= {"may not get pods/log"}
    assert all("Role" in fault.fix for fault in health.faults)
    job = attrs.evolve(make_bench().job("true"), mark=attrs.evolve(make_bench().mark(), owner=nobody.owner))
    with pytest.raises(UnavailableError, match="README"):
        nobody.submit(nobody.plan(job), lifetime=timedelta(seconds=60))


def test_a_login_that_is_wrong_is_told_from_an_apiserver_that_is_away(
    make_backend: Callable[..., KubeBackend], kube: Mapping[str, str], tmp_path: Path
) -> None:
    config = json.loads(Path(kube["CE_KUBECONFIG"]).read_text())
    config["users"][0]["user"]["token"] = "wrong"
    wrong = tmp_path / "kubeconfig"
    wrong.write_text(json.dumps(config))

    health = make_backend(kubeconfig=wrong).probe()

    assert "token" in health.faults[0].what
    assert not health.reachable


def test_the_executors_role_is_enough(make_bench: MakeBench) -> None:
    health = make_bench().backend.probe()

    assert health.reachable
    assert health.faults == ()


def test_a_watch_tells_of_an_end_at_once(make_bench: MakeBench) -> None:
    bench = make_bench()
    woken: list[str] = []
    stop = Event()
    watch = Thread(target=bench.backend.watch, args=(woken.append, stop), daemon=True)
    watch.start()
    handle = bench.start("true")

    wait_for(lambda: handle.job_id in woken, PATIENCE, "a hint about the job")

    stop.set()
    wait_for(lambda: not watch.is_alive(), PATIENCE, "the end of the watch")


@pytest.mark.usefixtures("alone")
def test_the_role_of_the_readme_is_all_that_is_needed(
    make_bench: MakeBench, make_backend: Callable[..., KubeBackend], kube: Mapping[str, str], admin: Callable[..., str]
) -> None:
    text = (Path(__file__).parents[1] / "README.md").read_text().partition("```yaml\n")[2].partition("```")[0]
    assert "{name: container-executor, namespace: jobs}" in text
    mine = f"{{name: readme, namespace: {kube['CE_KUBE_NAMESPACE']}}}"
    bench = attrs.evolve(make_bench(), backend=make_backend(kubeconfig=Path(kube["CE_KUBECONFIG_NORIGHTS"])))
    role = bench.folder() / "role.yaml"
    role.write_text(text.replace("{name: container-executor, namespace: jobs}", mine))
    admin("apply", "-f", str(role))
    try:
        admin("create", "rolebinding", "readme", "--role=readme", "--user=nobody")
        assert bench.backend.probe().faults == ()
        handle = bench.start("echo here; sleep 100", **TWO_NODES)
        bench.until(handle, lambda _status: bench.read(handle), "the first line")
        bench.backend.capacity()
        bench.backend.cancel(handle)
        assert [rank.exit_code for rank in bench.ended(handle).ranks] == [143, 143]
        bench.gone(handle)
        waits = bench.start("true", cpu=9_000_000)
        bench.backend.cancel(waits)
        bench.gone(waits)
    finally:
        admin("delete", "rolebinding,role", "readme", "--ignore-not-found")
