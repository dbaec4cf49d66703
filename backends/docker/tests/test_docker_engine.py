"""The engine itself: restarted under running jobs, on another machine, full, named by a context, and what it says of itself."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from container_executor_docker import DockerBackend
from container_executor_docker.guard import end_labels, ensure_guard, time_left
from docker_support import PATIENCE, MakeBackend, MakeJob, Spare, ended, guards
from relay import make_certificates, relay

from container_executor.errors import UnavailableError, UnsupportedError
from container_executor.models import Handle, JobState, Mount
from container_executor.testing.bench import wait_for

pytestmark = [
    pytest.mark.engine("docker"),
    # requests leaves its end of a socket open when nobody is behind it any more
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]


def running(backend: DockerBackend, handle: Handle) -> None:
    """Wait until a job runs."""
    wait_for(
        lambda: backend.status([handle])[handle.job_id].state is JobState.RUNNING, PATIENCE, f"a run of {handle.job_id}"
    )


def output(backend: DockerBackend, handle: Handle) -> list[bytes]:
    """Return all lines of a job that has ended."""
    lines: list[bytes] = []
    cursor = ""

    def at_end() -> bool:
        nonlocal cursor
        chunk = backend.logs(handle, cursor)
        lines.extend(line.data for line in chunk.lines)
        cursor = chunk.cursor
        return chunk.end

    wait_for(at_end, PATIENCE, "the end of the output")
    return lines


# --- dockerd is restarted ---------------------------------------------------------------------------------------------


def test_jobs_outlive_a_killed_dockerd_with_live_restore(
    make_backend: MakeBackend, make_job: MakeJob, spare: Spare
) -> None:
    backend = make_backend(host=spare("up"), network="none")
    line = "i=0; while [ $i -lt 30 ]; do i=$((i + 1)); echo $i; sleep 0.1; done; exit 3"
    handle = backend.submit(backend.plan(make_job(line)), lifetime=PATIENCE)
    before = wait_for(lambda: backend.logs(handle).lines and backend.logs(handle), PATIENCE, "the first lines")

    spare("kill")
    with pytest.raises(UnavailableError):
        backend.status([handle])
    spare("up")

    status = ended(backend, handle)
    assert [rank.exit_code for rank in status.ranks] == [3]
    assert status.native_id == handle.native_id
    assert output(backend, handle) == [b"%d" % number for number in range(1, 31)]
    assert before is not None
    backend.remove(handle)


def test_a_lifetime_holds_over_a_restart_of_dockerd(make_backend: MakeBackend, make_job: MakeJob, spare: Spare) -> None:
    backend = make_backend(host=spare("up"), network="none")
    handle = backend.submit(backend.plan(make_job("trap '' TERM; sleep 60")), lifetime=timedelta(seconds=4))
    running(backend, handle)

    spare("kill")
    spare("up")

    assert [rank.exit_code for rank in ended(backend, handle).ranks] == [137]
    backend.remove(handle)


def test_a_guard_that_starts_while_dockerd_is_away_waits_for_it(
    make_backend: MakeBackend, make_job: MakeJob, spare: Spare, owner: str, tmp_path: Path
) -> None:
    backend = make_backend(host=spare("up"), network="none")
    handle = backend.submit(backend.plan(make_job("trap '' TERM; sleep 60")), lifetime=timedelta(seconds=4))
    (pid,) = wait_for(lambda: guards(owner), PATIENCE, "a guard")
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not guards(owner), PATIENCE, "the guard's end")

    spare("kill")
    ensure_guard(backend._connection.address.to_dict(), owner, tmp_path / "guard.lock")
    wait_for(lambda: guards(owner), PATIENCE, "another guard")
    spare("up")

    assert [rank.exit_code for rank in ended(backend, handle).ranks] == [137]
    backend.remove(handle)


def test_without_live_restore_a_restart_ends_jobs_and_the_engine_s_health_says_so(
    make_backend: MakeBackend, make_job: MakeJob, spare: Spare
) -> None:
    backend = make_backend(host=spare("frail"), network="none")
    handle = backend.submit(backend.plan(make_job("sleep 60")), lifetime=PATIENCE)
    running(backend, handle)

    spare("stop")
    spare("frail")

    assert ended(backend, handle).state is JobState.FAILED
    assert any("live-restore" in fault.what for fault in backend.probe().faults)
    backend.remove(handle)


def test_a_power_cut_is_no_success(make_backend: MakeBackend, make_job: MakeJob, spare: Spare) -> None:
    backend = make_backend(host=spare("up"), network="none")
    handle = backend.submit(backend.plan(make_job("sleep 60")), lifetime=PATIENCE)
    running(backend, handle)

    spare("crash")
    spare("up")

    assert ended(backend, handle).state is JobState.FAILED
    backend.remove(handle)


# --- the guard --------------------------------------------------------------------------------------------------------


def test_one_guard_serves_all_jobs_and_leaves_after_the_last(
    backend: DockerBackend, make_job: MakeJob, owner: str
) -> None:
    handles = [backend.submit(backend.plan(make_job("sleep 60")), lifetime=PATIENCE) for _ in range(3)]
    wait_for(lambda: len(guards(owner)) == 1, PATIENCE, "one guard")

    for handle in handles:
        backend.remove(handle)

    wait_for(lambda: not guards(owner), PATIENCE, "the guard's leaving")


def test_a_job_is_asked_to_end_once(backend: DockerBackend, make_job: MakeJob) -> None:
    line = "trap 'echo asked' TERM; echo ready; while :; do sleep 0.1; done 2>/dev/null"
    job = make_job("", argv=("sh", "-c", line), grace=timedelta(seconds=3))

    handle = backend.submit(backend.plan(job), lifetime=timedelta(seconds=5))

    assert [rank.exit_code for rank in ended(backend, handle).ranks] == [137]
    assert output(backend, handle).count(b"asked") == 1


def test_the_next_submit_replaces_a_guard_that_was_killed(
    backend: DockerBackend, make_job: MakeJob, owner: str
) -> None:
    first = backend.submit(backend.plan(make_job("sleep 60")), lifetime=timedelta(seconds=6))
    (pid,) = wait_for(lambda: guards(owner), PATIENCE, "a guard")
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not guards(owner), PATIENCE, "the guard's end")

    backend.submit(backend.plan(make_job("true")), lifetime=PATIENCE)

    assert [rank.exit_code for rank in ended(backend, first).ranks] == [143]


def test_a_clock_that_is_set_moves_no_end() -> None:
    labels = end_labels(100.0)
    wrong_by_an_hour = {**labels, "container-executor.end": f"{time.time() + 3700:.3f}"}

    assert time_left(wrong_by_an_hour) == pytest.approx(100, abs=1)


def test_an_end_from_before_a_restart_of_the_machine_counts_by_the_clock_of_the_day() -> None:
    labels = {**end_labels(100.0), "container-executor.end-boot": "another-boot 5.000"}

    assert time_left(labels) == pytest.approx(100, abs=1)


# --- where the engine is ----------------------------------------------------------------------------------------------


def run_remotely(backend: DockerBackend, make_job: MakeJob, **fields: Any) -> list[bytes]:
    """Run a job on an engine that is reached over the network, and return its lines."""
    handle = backend.submit(backend.plan(make_job("echo far away", **fields)), lifetime=PATIENCE)
    status = ended(backend, handle)
    assert status.state is JobState.SUCCEEDED, status
    lines = output(backend, handle)
    backend.remove(handle)
    return lines


def test_an_engine_on_another_machine_runs_jobs_without_directories(
    engine: Mapping[str, str], make_backend: MakeBackend, make_job: MakeJob
) -> None:
    with relay(engine["CE_DOCKER_SOCKET"]) as address:
        assert run_remotely(make_backend(host=f"tcp://{address}"), make_job) == [b"far away"]


def test_an_engine_on_another_machine_refuses_directories_that_it_cannot_see(
    make_backend: MakeBackend, make_job: MakeJob
) -> None:
    backend = make_backend(host="tcp://192.0.2.1:2376", paths={"/shared": "/export/shared"})
    plain, seen = Mount("/data/mine", "/data"), Mount("/shared/mine", "/data")

    with pytest.raises(UnsupportedError, match="another machine and does not see /data/mine"):
        backend.plan(make_job("true", mounts=(plain,)))
    with pytest.raises(UnsupportedError, match="parents' output"):
        backend.plan(make_job("true", input="[1]"))

    (mount,) = backend.plan(make_job("true", mounts=(seen,))).request["containers"][0]["body"]["HostConfig"]["Mounts"]
    assert mount["Source"] == "/export/shared/mine"


def test_an_engine_that_sees_the_same_files_is_given_directories(
    engine: Mapping[str, str], make_backend: MakeBackend, make_job: MakeJob, tmp_path: Path
) -> None:
    with relay(engine["CE_DOCKER_SOCKET"]) as address:
        backend = make_backend(host=f"tcp://{address}", paths={"/": "/"})

        assert run_remotely(backend, make_job, mounts=(Mount(str(tmp_path), "/data"),)) == [b"far away"]


def test_an_engine_that_speaks_tls_knows_us_and_we_it(
    engine: Mapping[str, str], make_backend: MakeBackend, make_job: MakeJob, tmp_path: Path
) -> None:
    ours, others = make_certificates(tmp_path / "ours"), make_certificates(tmp_path / "others")
    with relay(engine["CE_DOCKER_SOCKET"], ours) as address:
        host = f"tcp://{address}"

        assert run_remotely(make_backend(host=host, tls=ours), make_job) == [b"far away"]
        for settings in ({"tls": others}, {}, {"tls": tmp_path / "none"}):
            with pytest.raises(UnavailableError):
                make_backend(host=host, **settings).list_jobs()


@pytest.fixture
def contexts(engine: Mapping[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The configuration of a user whose docker command has a context named lab."""
    folder = tmp_path / "docker"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))
    place = f"host={engine['CE_DOCKER_HOST']}"
    subprocess.run(["docker", "context", "create", "lab", "--docker", place], check=True, capture_output=True)
    return folder


def test_a_context_of_the_docker_command_names_the_engine(make_backend: MakeBackend, contexts: Path) -> None:
    assert make_backend(host="", context="lab").list_jobs() == []

    with pytest.raises(UnavailableError, match="no docker context nowhere"):
        make_backend(host="", context="nowhere").list_jobs()


def test_without_a_setting_the_engine_is_the_one_of_the_docker_command(
    engine: Mapping[str, str], make_backend: MakeBackend, contexts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (contexts / "config.json").write_text(json.dumps({"currentContext": "lab"}))
    assert make_backend(host="").list_jobs() == []

    monkeypatch.setenv("DOCKER_HOST", f"unix://{contexts}/nobody.sock")
    with pytest.raises(UnavailableError, match="nobody"):
        make_backend(host="").list_jobs()

    monkeypatch.setenv("DOCKER_HOST", "ssh://somewhere")
    with pytest.raises(UnavailableError, match="ssh -L"):
        make_backend(host="").list_jobs()


# --- what it says of itself -------------------------------------------------------------------------------------------


def test_capacity_is_what_the_engine_has_less_what_our_jobs_were_given(
    api: Any, backend: DockerBackend, make_job: MakeJob
) -> None:
    info = api.info()
    before = backend.capacity()
    handle = backend.submit(backend.plan(make_job("sleep 60", cpu=250, memory=2**26)), lifetime=PATIENCE)
    during = backend.capacity()
    backend.cancel(handle, force=True)
    ended(backend, handle)
    backend.remove(handle)
    after = backend.capacity()

    assert before is not None
    assert during is not None
    assert (before.cpu, before.memory) == (info["NCPU"] * 1000, info["MemTotal"])
    assert (during.cpu, during.memory) == (info["NCPU"] * 1000 - 250, info["MemTotal"] - 2**26)
    assert after == before == backend.total()


def test_logins_that_others_can_read_are_a_fault(make_backend: MakeBackend, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "config.json").chmod(0o644)

    (fault,) = [fault for fault in make_backend(docker_config=tmp_path).probe().faults if "logins" in fault.what]

    assert fault.fix == f"chmod 600 {tmp_path / 'config.json'}"
    (tmp_path / "config.json").chmod(0o600)
    assert not any("logins" in fault.what for fault in make_backend(docker_config=tmp_path).probe().faults)


def test_a_thousand_questions_about_one_engine_are_few_calls(
    backend: DockerBackend, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    handles = [backend.submit(backend.plan(make_job("sleep 60")), lifetime=PATIENCE) for _ in range(10)]
    backend.status(handles)
    calls: list[str] = []
    monkeypatch.setattr(backend._connection.api, "inspect_container", calls.append)
    unknown = [Handle(f"ce-unknown-{number}", "none") for number in range(1000)]

    seen = backend.status([*handles, *unknown])

    assert {status.state for status in seen.values()} == {JobState.RUNNING}
    assert len(seen) == 10
    assert calls == [], "a list says that they run on; nothing else about them can have changed"
