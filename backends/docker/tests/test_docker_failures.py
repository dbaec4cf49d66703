"""Every way in which Docker lets a job fail has its class, and its user is told what to do."""

import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from container_executor_docker import DockerBackend
from container_executor_docker.jobfolder import JobFolder
from container_executor_docker.launch import Launcher, Made
from docker_support import EAT, MakeBackend, MakeJob, Spare

from container_executor.errors import BackendError, UnavailableError
from container_executor.execute import decide
from container_executor.execute.library import run_job
from container_executor.execute.outcome import Outcome, class_of, conclude
from container_executor.models import FailureClass, Handle, JobSpec, JobState, JobStatus, LogChunk, Mount
from container_executor.testing.bench import wait_for

pytestmark = [
    pytest.mark.engine("docker"),
    # requests leaves its end of a socket open when nobody is behind it any more
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]

PATIENCE = timedelta(seconds=60)
LITTLE = 32 * 2**20


def run(backend: DockerBackend, job: JobSpec) -> Outcome:
    """Run a job to its end as the library does."""
    return run_job(backend, job, lifetime=timedelta(minutes=5))


def refusal(backend: DockerBackend, job: JobSpec) -> tuple[FailureClass, str]:
    """Return the class and the words with which a job is refused."""
    with pytest.raises(BackendError) as caught:
        run(backend, job)
    return class_of(caught.value), str(caught.value)


BeforeStart = Callable[[Callable[[], object]], None]


@pytest.fixture
def before_start(monkeypatch: pytest.MonkeyPatch) -> BeforeStart:
    """Do something when a job's containers are made and none is started yet."""

    def arrange(deed: Callable[[], object]) -> None:
        start = Launcher.start

        def late(launcher: Launcher, containers: Sequence[Made], folder: JobFolder) -> None:
            deed()
            start(launcher, containers, folder)

        monkeypatch.setattr(Launcher, "start", late)

    return arrange


def status_of(backend: DockerBackend, handle: Handle) -> JobStatus | None:
    return backend.status([handle]).get(handle.job_id)


def start(backend: DockerBackend, job: JobSpec) -> Handle:
    """Submit a job and wait until it runs."""
    handle = backend.submit(backend.plan(job), lifetime=PATIENCE)
    wait_for(lambda: _running(backend, handle), PATIENCE, "a running job")
    return handle


def _running(backend: DockerBackend, handle: Handle) -> bool:
    status = status_of(backend, handle)
    return status is not None and status.state is JobState.RUNNING


# --- of the program ---------------------------------------------------------------------------------------------------


def test_a_user_s_own_exit_is_the_user_s(backend: DockerBackend, make_job: MakeJob) -> None:
    outcome = run(backend, make_job("exit 3"))

    assert (outcome.failure, outcome.exit_code) == (FailureClass.USER_EXIT, 3)
    assert FailureClass.USER_EXIT.hint in outcome.reason


def test_two_hundred_megabytes_under_a_limit_of_thirty_two_are_out_of_memory(
    backend: DockerBackend, make_job: MakeJob
) -> None:
    outcome = run(backend, make_job(EAT, memory=LITTLE))

    assert (outcome.failure, outcome.exit_code) == (FailureClass.OOM, 137)
    assert FailureClass.OOM.hint in outcome.reason


def test_a_child_out_of_memory_fails_a_shell_that_ends_with_zero(backend: DockerBackend, make_job: MakeJob) -> None:
    outcome = run(backend, make_job(f"({EAT}); exit 0", memory=LITTLE))

    assert (outcome.succeeded, outcome.failure, outcome.exit_code) == (False, FailureClass.OOM, 0)
    assert "exit code 0" in outcome.message
    assert "memory" in outcome.message


def test_of_many_jobs_that_run_out_of_memory_as_they_start_none_is_missed(
    backend: DockerBackend, make_job: MakeJob
) -> None:
    jobs = [make_job(f"({EAT}); exit 0", memory=LITTLE) for _ in range(32)]

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(partial(run, backend), jobs))

    assert {(outcome.failure, outcome.exit_code) for outcome in outcomes} == {(FailureClass.OOM, 0)}


def test_what_a_job_itself_writes_about_its_memory_counts_only_where_it_names_a_rank(
    backend: DockerBackend, make_job: MakeJob
) -> None:
    line = "printf '%s\n' 7 -1 0x0 99999999999999999999 '' zero > /run/colonies/oom; printf '\\377\\000' >> /run/colonies/oom"

    assert run(backend, make_job(line)).succeeded


def test_a_program_beyond_its_walltime_is_stopped(backend: DockerBackend, make_job: MakeJob) -> None:
    outcome = run(backend, make_job("sleep 30", walltime=timedelta(seconds=1)))

    assert outcome.failure is FailureClass.WALLTIME


def test_a_job_that_was_cancelled_before_it_started_never_starts(
    backend: DockerBackend, make_job: MakeJob, before_start: BeforeStart
) -> None:
    plan = backend.plan(make_job("echo ran"))
    before_start(lambda: backend.cancel(Handle(plan.job_id, plan.job_id)))

    handle = backend.submit(plan, lifetime=PATIENCE)

    status = status_of(backend, handle)
    assert status is not None
    assert status.state is JobState.CANCELLED
    assert conclude(status, None, grace=timedelta(0)).failure is FailureClass.CANCELLED
    chunk = wait_for(lambda: _end_of_output(backend, handle), PATIENCE, "the end of the output")
    assert chunk.lines == ()


def _end_of_output(backend: DockerBackend, handle: Handle) -> LogChunk | None:
    chunk = backend.logs(handle)
    return chunk if chunk.end else None


# --- of the spec ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "failure"),
    [
        ({"image": "noshell:latest"}, FailureClass.INVALID_SPEC),
        ({"memory": 2**20}, FailureClass.INVALID_SPEC),
        ({"cpu": 1_000_000}, FailureClass.UNSCHEDULABLE),
        ({"gpus": 1}, FailureClass.UNSCHEDULABLE),
    ],
    ids=["no shell", "too little memory", "too many processors", "no such driver"],
)
def test_what_no_launch_can_mend_is_named(
    backend: DockerBackend, make_job: MakeJob, fields: Mapping[str, Any], failure: FailureClass
) -> None:
    try:
        outcome = run(backend, make_job("true", **fields))
        found, words = outcome.failure, outcome.reason
    except BackendError as error:
        found, words = class_of(error), str(error)

    assert found is failure, words


def test_a_directory_that_is_not_there_is_named(backend: DockerBackend, make_job: MakeJob, tmp_path: Path) -> None:
    failure, words = refusal(backend, make_job("true", mounts=(Mount(str(tmp_path / "gone"), "/data"),)))

    assert failure is FailureClass.INVALID_SPEC
    assert str(tmp_path / "gone") in words


# --- of the engine ----------------------------------------------------------------------------------------------------


def test_a_container_that_took_the_name_keeps_the_job_from_starting(
    api: Any, backend: DockerBackend, make_job: MakeJob
) -> None:
    job = make_job("true")
    foreign = api.create_container("busybox:latest", ["true"], name=job.job_id)
    try:
        failure, words = refusal(backend, job)
    finally:
        api.remove_container(foreign, force=True)

    assert failure is FailureClass.NEVER_STARTED
    assert job.job_id in words


def test_a_container_that_cannot_start_is_no_end_of_a_program(make_backend: MakeBackend, make_job: MakeJob) -> None:
    backend = make_backend(ulimits={"nofile": "2000000000"})

    outcome = run(backend, make_job("true"))

    assert (outcome.failure, outcome.exit_code) == (FailureClass.NEVER_STARTED, None)
    assert "rlimit" in outcome.message


def test_a_job_starts_with_all_its_ranks_or_none(
    backend: DockerBackend, make_job: MakeJob, tmp_path: Path, before_start: BeforeStart
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    job = make_job("true", processes_per_node=2, mounts=(Mount(str(folder), "/data"),))
    before_start(folder.rmdir)

    failure, words = refusal(backend, job)

    assert failure is FailureClass.INVALID_SPEC
    assert str(folder) in words
    (found,) = backend.list_jobs()
    status = status_of(backend, found.handle)
    assert status is not None
    assert status.state is JobState.PENDING


def test_a_container_that_somebody_removed_has_vanished(
    api: Any, backend: DockerBackend, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decide, "VANISHED_SPAN", 1.0)
    monkeypatch.setattr(decide, "VANISHED_NOT_BEFORE", 1.0)
    job = make_job("sleep 60")
    removing = threading.Thread(target=_remove_once_running, args=(api, job.job_id))
    removing.start()

    outcome = run(backend, job)

    removing.join()
    assert outcome.failure is FailureClass.VANISHED


def _remove_once_running(api: Any, name: str) -> None:
    wait_for(lambda: api.containers(filters={"name": name}), PATIENCE, "a running container")
    api.remove_container(name, force=True)


def test_one_rank_that_somebody_removed_has_vanished(api: Any, backend: DockerBackend, make_job: MakeJob) -> None:
    handle = start(backend, make_job("sleep 60", processes_per_node=2))

    api.remove_container(f"{handle.job_id}-1", force=True)

    status = wait_for(lambda: _with_failure(backend, handle), PATIENCE, "the failure of a rank")
    assert status.failed_rank is not None
    assert (status.failed_rank.rank, status.failed_rank.failure) == (1, FailureClass.VANISHED)


def _with_failure(backend: DockerBackend, handle: Handle) -> JobStatus | None:
    status = status_of(backend, handle)
    return status if status is not None and status.failed_rank else None


def test_an_engine_that_is_away_is_not_the_end_of_a_job(
    make_backend: MakeBackend, make_job: MakeJob, spare: Spare
) -> None:
    backend = make_backend(host=spare("up"), network="none")
    handle = start(backend, make_job("sleep 2; exit 3"))

    spare("stop")
    with pytest.raises(UnavailableError) as caught:
        status_of(backend, handle)
    with pytest.raises(UnavailableError):
        backend.submit(backend.plan(make_job("true")), lifetime=None)
    spare("up")

    assert class_of(caught.value) is FailureClass.ENGINE_UNAVAILABLE
    status = wait_for(lambda: _ended(backend, handle), PATIENCE, "the end of the job")
    assert [rank.exit_code for rank in status.ranks] == [3]
    backend.remove(handle)


def _ended(backend: DockerBackend, handle: Handle) -> JobStatus | None:
    status = status_of(backend, handle)
    return status if status is not None and status.state.ended else None


def test_a_full_disk_of_the_engine_is_named(make_backend: MakeBackend, make_job: MakeJob, spare: Spare) -> None:
    backend = make_backend(host=spare("up"), network="none")
    spare("fill")

    failure, words = refusal(backend, make_job("true"))
    spare("free")

    assert failure is FailureClass.DISK_FULL, words
    assert run(backend, make_job("true", mark=make_job("true").mark)).succeeded


def test_a_full_disk_of_the_daemon_is_named(
    make_backend: MakeBackend, make_job: MakeJob, tmp_path: Path, small_disk: Path
) -> None:
    backend = make_backend(directory=small_disk)
    with (small_disk / "filler").open("wb") as file, pytest.raises(OSError, match="space"):
        file.write(bytes(2**22))
        file.flush()

    failure, words = refusal(backend, make_job("true", input=secrets.token_hex(2**19)))

    assert failure is FailureClass.DISK_FULL, words
