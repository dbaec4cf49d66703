"""What answers of a real cluster (Kubernetes 1.34, containerd 1.6) prove about a rank and its job."""

import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import attrs
import pytest

pytest.importorskip("kubernetes")

from container_executor_kube import names
from container_executor_kube.evidence import rank_status
from container_executor_kube.manifest import make_plan, with_lifetime
from container_executor_kube.settings import Site
from container_executor_kube.verdict import Sight, ends, indexes, job_status
from container_executor_kube.waiting import event_wait

from container_executor.models import FailureClass, JobSpec, JobState, Mark, RankStatus

Pod = dict[str, Any]
RECORDED: Mapping[str, Pod] = json.loads((Path(__file__).parent / "recorded" / "pods.json").read_text())
FAILED, SUCCEEDED, PENDING = JobState.FAILED, JobState.SUCCEEDED, JobState.PENDING


@pytest.fixture
def job() -> Mapping[str, Any]:
    """A Job of two nodes with one rank each, as the apiserver has it."""
    return job_of(nodes=2)


def job_of(nodes: int, **status: Any) -> Pod:
    mark = Mark(owner="0123456789abcdef", colony="dev", process_id="ab" * 32)
    spec = JobSpec(image="busybox:latest", argv=("true",), nodes=nodes, mark=mark)
    request = json.loads(json.dumps(make_plan(spec, Site(user="1000:1000")).request))
    request["metadata"]["uid"] = "11111111-2222-3333-4444-555555555555"
    return {**request, "status": status}


def recorded(name: str, index: int = 0, notes: Mapping[str, str] = MappingProxyType({})) -> Pod:
    """Return a recorded pod as that of a node of its job."""
    pod: Pod = json.loads(json.dumps(RECORDED[name]))
    pod["metadata"]["labels"][names.INDEX] = str(index)
    pod["metadata"]["annotations"].update(notes)
    return pod


RELEASED = {names.RELEASE: "10.0.0.1"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("exit_3", (FAILED, 3, None)),
        ("out_of_memory", (FAILED, 137, FailureClass.OOM)),
        ("out_of_memory_survived", (SUCCEEDED, 0, None)),
        ("no_shell", (FAILED, None, FailureClass.INVALID_SPEC)),
        ("no_such_image", (PENDING, None, FailureClass.IMAGE_NOT_FOUND)),
        ("no_such_image_later", (PENDING, None, FailureClass.IMAGE_NOT_FOUND)),
        ("login_refused", (PENDING, None, FailureClass.IMAGE_AUTH)),
        ("registry_away", (PENDING, None, FailureClass.IMAGE_TRANSIENT)),
        ("bad_image_name", (PENDING, None, FailureClass.INVALID_SPEC)),
        ("too_much_cpu", (PENDING, None, FailureClass.UNSCHEDULABLE)),
        ("running", (JobState.RUNNING, None, None)),
        ("evicted", (FAILED, 143, FailureClass.EVICTED)),
        ("deleted_and_exited_0", (FAILED, 0, FailureClass.VANISHED)),
        ("deleted_while_pulled", (FAILED, None, FailureClass.VANISHED)),
    ],
)
def test_a_recorded_pod_proves(name: str, expected: tuple[JobState, int | None, FailureClass | None]) -> None:
    status = rank_status(recorded(name), 0, 0, gang=False)

    assert (status.state, status.exit_code, status.failure) == expected
    assert status.reason or status.failure is None, "a class without the engine's words"


@pytest.mark.parametrize(
    ("finished", "expected"),
    [("16:09:34", (FAILED, FailureClass.LEASE_EXPIRED)), ("16:09:32", (SUCCEEDED, None))],
)
def test_a_deadline_stops_only_what_runs_when_it_comes(
    finished: str, expected: tuple[JobState, FailureClass | None]
) -> None:
    pod = recorded("deadline_and_exited_0")
    pod["spec"]["activeDeadlineSeconds"], pod["status"]["startTime"] = 3, "2026-11-21T16:09:30Z"
    pod["status"]["containerStatuses"][0]["state"]["terminated"]["finishedAt"] = f"2026-11-21T{finished}Z"

    status = rank_status(pod, 0, 0, gang=False)

    assert (status.state, status.failure) == expected
    assert status.exit_code == 0


@pytest.mark.parametrize(
    "trace",
    [
        {"containerID": "containerd://607350dc5ec864795f3aa62017dc02ff"},
        {"lastState": {"terminated": {"exitCode": 137, "reason": "ContainerStatusUnknown"}}},
    ],
    ids=["an id", "a last state"],
)
def test_a_container_that_ran_and_of_which_nothing_is_left_was_lost(trace: dict[str, Any]) -> None:
    pod = recorded("deleted_while_pulled")
    pod["status"]["containerStatuses"][0].update(trace)

    status = rank_status(pod, 0, 0, gang=False)

    assert (status.state, status.failure, status.exit_code) == (FAILED, FailureClass.NODE_LOST, None)


def test_words_of_the_runtime_are_not_the_output_of_the_program() -> None:
    assert rank_status(recorded("no_shell"), 0, 0, gang=False).output is None
    assert rank_status(recorded("exit_3"), 0, 0, gang=False).output == "x\n"


def test_a_program_that_had_ended_before_its_pod_was_deleted_keeps_its_verdict() -> None:
    pod = recorded("deleted_and_exited_0")
    pod["status"]["containerStatuses"][0]["state"]["terminated"]["finishedAt"] = "2026-11-21T16:00:00Z"

    assert rank_status(pod, 0, 0, gang=False).state is SUCCEEDED


def test_a_program_that_had_ended_before_the_eviction_keeps_its_verdict() -> None:
    pod = recorded("evicted")
    pod["status"]["containerStatuses"][0]["state"]["terminated"]["finishedAt"] = "2026-11-21T16:00:00Z"

    status = rank_status(pod, 0, 0, gang=False)

    assert (status.exit_code, status.failure) == (143, None)


@pytest.mark.parametrize(
    ("reason", "failure"),
    [
        ("PreemptionByScheduler", FailureClass.PREEMPTED),
        ("DeletionByTaintManager", FailureClass.NODE_LOST),
        ("TerminationByKubelet", FailureClass.EVICTED),
    ],
)
def test_the_cause_of_a_disruption_is_named(reason: str, failure: FailureClass) -> None:
    pod = recorded("evicted")
    (condition,) = [found for found in pod["status"]["conditions"] if found["type"] == "DisruptionTarget"]
    condition["reason"] = reason

    assert rank_status(pod, 0, 0, gang=False).failure is failure


def test_a_pod_that_stays_on_a_lost_node_has_failed() -> None:
    pod = recorded("running")
    pod["metadata"]["deletionTimestamp"] = "2026-11-21T16:20:00Z"
    pod["status"]["conditions"].append(
        {"type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager", "message": "Taint manager"}
    )

    status = rank_status(pod, 0, 0, gang=False)

    assert (status.state, status.failure, status.exit_code) == (FAILED, FailureClass.NODE_LOST, None)


def test_a_pod_that_began_after_the_end_of_its_job_started_no_program() -> None:
    pod = recorded("exit_3", notes={names.END: "1000000000"})

    assert rank_status(pod, 0, 0, gang=False).failure is FailureClass.NEVER_STARTED


# --- of several pods one job ------------------------------------------------------------------------------------------


def test_a_rank_that_waits_for_the_others_is_held(job: Pod) -> None:
    status = job_status(Sight(job, [recorded("running")]))

    assert [rank.state for rank in status.ranks] == [JobState.HELD, PENDING]
    assert status.state is PENDING


def test_a_job_is_held_when_all_its_pods_wait(job: Pod) -> None:
    sight = Sight(job, [recorded("running"), recorded("running", 1)])

    assert job_status(sight).state is JobState.HELD
    assert not sight.started()


def test_a_job_of_which_one_pod_was_released_only_is_still_held(job: Pod) -> None:
    sight = Sight(job, [recorded("running", notes=RELEASED), recorded("running", 1)])

    assert job_status(sight).state is JobState.HELD


def test_a_rank_that_ended_while_it_waited_never_started(job: Pod) -> None:
    status = job_status(Sight(job, [recorded("exit_3"), recorded("running", 1)]))

    assert (status.ranks[0].failure, status.ranks[0].exit_code) == (FailureClass.NEVER_STARTED, None)


def test_the_reason_of_the_pod_that_waits_is_the_reason_of_the_job(job: Pod) -> None:
    status = job_status(Sight(job, [recorded("running"), recorded("too_much_cpu", 1)]))

    assert (status.state, status.failure) == (PENDING, FailureClass.UNSCHEDULABLE)
    assert "Insufficient cpu" in status.reason


def test_what_was_seen_of_a_pod_outlives_it(job: Pod) -> None:
    gone = recorded("exit_3", 1)
    sight = Sight(job_of(2, failedIndexes="1"), [recorded("running", notes=RELEASED)], remembered=ends(gone))

    assert job_status(sight).ranks[1].exit_code == 3


def test_a_pod_that_nobody_saw_end_has_vanished() -> None:
    status = job_status(Sight(job_of(2, failedIndexes="1"), [recorded("running", notes=RELEASED)]))

    assert (status.ranks[1].state, status.ranks[1].failure) == (FAILED, FailureClass.VANISHED)
    assert status.state is JobState.RUNNING, "the other rank runs on"


def test_a_pod_that_is_not_made_yet_is_pending(job: Pod) -> None:
    assert job_status(Sight(job, [])).state is PENDING


def test_a_completed_index_without_its_pod_succeeded() -> None:
    status = job_status(Sight(job_of(2, completedIndexes="0,1"), []))

    assert (status.state, [rank.exit_code for rank in status.ranks]) == (SUCCEEDED, [0, 0])


def test_a_job_that_was_never_placed_within_its_lifetime_ran_out_of_it() -> None:
    over = {"type": "Failed", "status": "True", "reason": "DeadlineExceeded", "message": "Job was active longer"}

    status = job_status(Sight(job_of(1, conditions=[over]), []))

    assert (status.state, status.ranks[0].failure) == (FAILED, FailureClass.LEASE_EXPIRED)


def test_a_job_that_was_cancelled_before_it_started_is_cancelled() -> None:
    job = job_of(2)
    job["spec"]["suspend"] = True
    job["metadata"]["annotations"][names.CANCELLED] = "2026-11-21T16:00:00+00:00"

    assert job_status(Sight(job, [])).state is JobState.CANCELLED


@pytest.mark.parametrize(("text", "numbers"), [("", set()), ("0", {0}), ("0,2-4,7", {0, 2, 3, 4, 7})])
def test_indexes_are_read_as_a_job_writes_them(text: str, numbers: set[int]) -> None:
    assert indexes(text) == numbers


def test_the_latest_warning_is_the_reason() -> None:
    events = [
        {"reason": "FailedMount", "message": "old", "lastTimestamp": "2026-11-21T16:00:00Z", "metadata": {}},
        {
            "reason": "FailedCreate",
            "message": "exceeded quota: rq",
            "eventTime": "2026-11-21T16:00:01.5Z",
            "metadata": {},
        },
    ]

    wait = event_wait(events)

    assert (wait.words, wait.failure) == ("FailedCreate: exceeded quota: rq", FailureClass.QUOTA)


@pytest.mark.parametrize(
    ("words", "failure"),
    [
        ('Error: failed to create containerd task: exec: "sh": executable file not found', FailureClass.INVALID_SPEC),
        (
            'Failed to pull image "x/y:1": rpc error: code = NotFound desc = x/y:1: not found',
            FailureClass.IMAGE_NOT_FOUND,
        ),
        ('MountVolume.SetUp failed for volume "s" : secret "t" not found', FailureClass.NEVER_STARTED),
    ],
)
def test_an_event_proves_what_the_status_will(words: str, failure: FailureClass) -> None:
    assert event_wait([{"reason": "Failed", "message": words, "metadata": {}}]).failure is failure


def test_the_first_failure_is_the_one_that_is_named() -> None:
    first, second = recorded("exit_3", 1, notes=RELEASED), recorded("evicted", notes=RELEASED)

    failed = job_status(Sight(job_of(2), [second, first])).failed_rank

    assert failed == attrs.evolve(failed or RankStatus(0, FAILED), rank=1, exit_code=3)


def test_term_and_kill_come_with_the_lifetime() -> None:
    body = with_lifetime(job_of(1), grace=timedelta(seconds=10), lifetime=timedelta(seconds=60.9), now=1000.0)

    pod = body["spec"]["template"]["spec"]
    assert pod["activeDeadlineSeconds"] == 50
    assert pod["containers"][0]["args"][:3] == ["1051", "50", "10"]
    assert body["spec"]["activeDeadlineSeconds"] > 60


def test_a_rank_that_we_cancelled_was_not_deleted_by_somebody() -> None:
    job = job_of(1)
    job["metadata"]["annotations"][names.CANCELLED] = "2026-11-21T16:00:00+00:00"

    (rank,) = job_status(Sight(job, [recorded("deleted_and_exited_0")])).ranks

    assert (rank.state, rank.exit_code, rank.failure) == (SUCCEEDED, 0, None)


def test_a_job_that_we_cancelled_while_its_image_was_pulled_is_cancelled() -> None:
    job = job_of(1)
    job["spec"]["suspend"] = True
    job["metadata"]["annotations"][names.CANCELLED] = "2026-11-21T16:00:00+00:00"

    status = job_status(Sight(job, [recorded("deleted_while_pulled")]))

    assert (status.state, status.ranks[0].failure) == (JobState.CANCELLED, None)


def test_a_job_that_is_being_cancelled_asks_for_no_release(job: Pod) -> None:
    job["metadata"]["annotations"][names.CANCELLED] = "2026-11-21T16:00:00+00:00"

    assert job_status(Sight(job, [recorded("running"), recorded("running", 1)])).state is PENDING


def test_a_rank_that_was_cancelled_while_held_is_cancelled_also_when_its_pod_is_gone() -> None:
    job = job_of(2)
    job["spec"]["suspend"] = True
    job["metadata"]["annotations"][names.CANCELLED] = "2026-11-21T16:00:00+00:00"
    never = RankStatus(1, FAILED, failure=FailureClass.NEVER_STARTED, reason="it ended before its program was started")

    assert job_status(Sight(job, [], remembered={1: never})).state is JobState.CANCELLED
