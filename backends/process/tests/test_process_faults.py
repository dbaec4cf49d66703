"""What this host can do to jobs: full disks, power losses and reboots, each with a verdict that says so."""

import json
import os
import secrets
import signal
import subprocess
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import pytest
from container_executor_process import ProcessBackend

from container_executor.errors import RejectedError
from container_executor.models import FailureClass, Handle, JobSpec, JobState, JobStatus, Mark, Plan
from container_executor.testing.bench import wait_for

T = TypeVar("T")

PAGE = os.sysconf("SC_PAGE_SIZE")
SMALL = 64 * PAGE


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 pages."""
    place = tmp_path / "disk"
    place.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SMALL}", "none", str(place)], capture_output=True, text=True, check=False
    )
    if made.returncode:
        pytest.skip(f"this user may not mount a small disk: {made.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def _backend(place: Path) -> ProcessBackend:
    return ProcessBackend(owner="0123456789abcdef", directory=place, dev=True)


def _plan(backend: ProcessBackend, line: str) -> Plan:
    mark = Mark(backend.owner, "dev", secrets.token_hex(32))
    return backend.plan(JobSpec(mark=mark, image="busybox", argv=("sh", "-c", line), grace=timedelta(seconds=1)))


def _until(look: Callable[[], T | None]) -> T:
    return wait_for(look, timedelta(seconds=30), "what the test waits for")


def _end(backend: ProcessBackend, handle: Handle) -> JobStatus:
    def ended() -> JobStatus | None:
        status = backend.status([handle])[handle.job_id]
        return status if status.state.ended else None

    return _until(ended)


def _fill(place: Path, pages: int) -> Path:
    """Fill the disk except for some pages."""
    ballast = place / "ballast"
    free = os.statvfs(place).f_bavail * os.statvfs(place).f_frsize
    ballast.write_bytes(b"x" * (free - pages * PAGE))
    return ballast


@pytest.mark.parametrize("pages", range(6))
def test_a_job_for_which_the_disk_has_no_room_is_refused_and_leaves_nothing(small_disk: Path, pages: int) -> None:
    backend = _backend(small_disk)
    backend.list_jobs()
    plan = _plan(backend, "exit 0")
    ballast = _fill(small_disk, pages)

    try:
        backend.remove(backend.submit(plan, lifetime=timedelta(minutes=1)))
        refusal = None
    except RejectedError as error:
        refusal = error

    assert refusal is None or refusal.failure == FailureClass.DISK_FULL
    assert not backend.list_jobs()
    ballast.unlink()
    again = backend.submit(plan, lifetime=timedelta(minutes=1))
    assert _end(backend, again).state is JobState.SUCCEEDED


def test_a_job_that_fills_the_disk_with_its_output_fails_for_that_reason(small_disk: Path) -> None:
    backend = _backend(small_disk)
    handle = backend.submit(_plan(backend, "yes 0123456789 | head -c 2000000; exit 0"), lifetime=timedelta(minutes=1))

    status = _end(backend, handle)

    assert (status.state, status.failure) == (JobState.FAILED, FailureClass.DISK_FULL)
    chunk = backend.logs(handle)
    assert chunk.lines[0].data == b"0123456789"
    backend.remove(handle)
    assert not backend.list_jobs()


def test_a_job_of_a_former_boot_is_lost_with_the_machine_and_never_started_again(tmp_path: Path) -> None:
    backend = _backend(tmp_path)
    ran = tmp_path / "ran"
    plan = _plan(backend, f"echo once >> {ran}; sleep 60")
    handle = backend.submit(plan, lifetime=timedelta(minutes=1))
    _until(ran.exists)
    _cut_the_power(backend, handle)

    status = _end(backend, handle)
    again = backend.submit(plan, lifetime=timedelta(minutes=1))

    assert (status.state, status.failure) == (JobState.FAILED, FailureClass.NODE_LOST)
    assert _end(backend, again).failure is FailureClass.NODE_LOST
    assert ran.read_text() == "once\n"


def test_a_job_that_was_made_but_not_started_before_a_reboot_is_lost_too(tmp_path: Path) -> None:
    backend = _backend(tmp_path)
    handle = backend.submit(_plan(backend, "sleep 60"), lifetime=timedelta(minutes=1))
    _cut_the_power(backend, handle)
    (_directory(backend, handle) / "supervisor.json").unlink()

    status = _end(backend, handle)

    assert (status.state, status.failure) == (JobState.FAILED, FailureClass.NODE_LOST)


def test_a_record_that_a_power_loss_left_empty_is_a_failure_and_no_missing_job(tmp_path: Path) -> None:
    backend = _backend(tmp_path)
    handle = backend.submit(_plan(backend, "echo done"), lifetime=timedelta(minutes=1))
    _end(backend, handle)
    record = _directory(backend, handle) / "end.0"
    record.write_bytes(bytes(record.stat().st_size))
    _reboot(backend, handle)

    status = _end(_backend(tmp_path), handle)

    assert (status.state, status.failure) == (JobState.FAILED, FailureClass.NODE_LOST)
    assert status.ranks[0].exit_code is None
    assert backend.logs(handle).lines[0].data == b"done"


def test_two_jobs_on_a_full_disk_do_not_hurt_one_that_runs(small_disk: Path) -> None:
    backend = _backend(small_disk)
    handle = backend.submit(
        _plan(backend, "until [ -p gate ]; do sleep 0.05; done; read line < gate; exit 7"),
        lifetime=timedelta(minutes=1),
    )
    work = _directory(backend, handle) / "work"
    _until(lambda: backend.status([handle])[handle.job_id].state is JobState.RUNNING)
    os.mkfifo(work / "gate")
    _fill(small_disk, 0)

    for _ in range(2):
        with pytest.raises(RejectedError):
            backend.submit(_plan(backend, "exit 0"), lifetime=timedelta(minutes=1))
    (work / "gate").write_text("go\n")

    status = _end(backend, handle)
    assert (status.state, status.ranks[0].exit_code) == (JobState.FAILED, 7)


def _directory(backend: ProcessBackend, handle: Handle) -> Path:
    return backend.directory / backend.owner / handle.job_id


def _cut_the_power(backend: ProcessBackend, handle: Handle) -> None:
    """End everything of a job at once, and have its directory be of a former boot."""
    supervisor = json.loads((_directory(backend, handle) / "supervisor.json").read_text())["pid"]
    os.kill(supervisor, signal.SIGKILL)
    _until(lambda: not Path(f"/proc/{supervisor}").exists())
    _reboot(backend, handle)


def _reboot(backend: ProcessBackend, handle: Handle) -> None:
    order = _directory(backend, handle) / "job.json"
    order.write_text(json.dumps({**json.loads(order.read_text()), "boot": "a former boot"}))
