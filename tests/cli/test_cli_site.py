"""Commands about this site: settings, backends, plans, keys, what was left over, a server."""

import json
import os
import re
import signal
import stat
import subprocess
from datetime import timedelta
from pathlib import Path

from colonies import wait_for

from container_executor.backend import Backend
from container_executor.client import Identity
from container_executor.models import JobSpec, Mark
from container_executor.registry import open_backend
from tests.cli.conftest import CLEAN, PROGRAM, Colony
from tests.cli.test_cli_program import run

SPEC = '{"funcname": "execute", "kwargs": {"cmd": "echo", "args": ["hi"], "docker-image": "busybox"}, "conditions": {"executortype": "x"}}'


# --- config -----------------------------------------------------------------------------------------------------------


def test_config_shows_values_with_what_set_them(tmp_path: Path) -> None:
    file = tmp_path / "site.toml"
    file.write_text('[executor]\nname = "edge"\n[backends.process]\nallow_host_execution = true\n')

    result = run("config", "--config", str(file), "--changed", "--port", "7", environ={"COLONIES_TLS": "false"})

    assert [line.split() for line in result.stdout.splitlines()[1:]] == [
        ["server.port", "7", "the", "command", "line"],
        ["server.tls", "false", "COLONIES_TLS"],
        ["executor.name", "edge", f"{file}:2"],
        ["backends.process.allow_host_execution", "true", f"{file}:4"],
    ]


def test_config_is_json_for_programs() -> None:
    described = json.loads(run("config", "--json", environ={"COLONIES_PRVKEY": "ab" * 32}).stdout)

    assert described["server.key"] == {"value": "***", "source": "COLONIES_PRVKEY"}
    assert described["executor.poll_timeout"] == {"value": 12.0, "source": "default"}


def test_config_checks_the_settings_of_backends(tmp_path: Path) -> None:
    file = tmp_path / "site.toml"
    file.write_text('backend = "process"\n[backends.process]\nallow_hots_execution = true\n')

    result = run("config", "--config", str(file))

    assert result.exit_code == 78
    assert (
        f"{file}:3: [backends.process] has no setting allow_hots_execution; did you mean allow_host_execution?"
        in result.stderr
    )


# --- backends and plans -----------------------------------------------------------------------------------------------


def test_backends_are_listed_and_described() -> None:
    assert {"process", "docker", "kube", "slurm"} <= {
        each["name"] for each in json.loads(run("backends", "--json").stdout)
    }
    described = {each["name"]: each for each in json.loads(run("backends", "process", "--json").stdout)}
    assert described["allow_host_execution"]["default"] == "False"
    assert "outside development mode" in run("backends", "process").stdout
    assert run("backends", "proces").exit_code == 78


def test_render_prints_the_plan_and_asks_no_engine(tmp_path: Path) -> None:
    arguments = ["render", "-", "--backend", "process", "--dev", "--state-dir", str(tmp_path / "state")]

    result = run(*arguments, "--set", "kwargs.args[1]={processid}", stdin=SPEC)

    assert json.loads(result.stdout)["argv"] == ["echo", "hi", "0" * 64]
    assert run(*arguments, stdin=SPEC).stdout == run(*arguments, stdin=SPEC).stdout
    assert not (tmp_path / "state").exists()


def test_render_refuses_what_the_site_or_the_backend_cannot_run() -> None:
    limited = run(
        "render",
        "-",
        "--backend",
        "process",
        "--dev",
        "-o",
        "limits.ranks=1",
        stdin=SPEC.replace('"x"', '"x", "nodes": 2'),
    )
    outside = run("render", "-", "--backend", "process", stdin=SPEC)
    nowhere = run("render", "-", stdin=SPEC)

    assert (limited.exit_code, outside.exit_code, nowhere.exit_code) == (65, 65, 78)
    assert "run with --dev" in outside.stderr
    assert "backend is not set" in nowhere.stderr


# --- keys -------------------------------------------------------------------------------------------------------------


def test_a_new_key_is_private_and_its_id_can_be_told(tmp_path: Path) -> None:
    file = tmp_path / "new.key"

    made = run("keys", "new", str(file)).stdout.strip()

    assert Identity(file.read_text().strip()).id == made
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert run("keys", "id", str(file)).stdout.strip() == made
    assert run("keys", "id", "-", stdin=file.read_text()).stdout.strip() == made


def test_a_key_is_never_overwritten_and_never_shown(tmp_path: Path) -> None:
    file = tmp_path / "new.key"
    run("keys", "new", str(file))
    key = file.read_text()

    again = run("keys", "new", str(file))

    assert again.exit_code == 64
    assert file.read_text() == key
    assert key.strip() not in again.output + run("keys", "id", str(file)).output
    assert run("keys", "id", "-", stdin="no key").exit_code == 78


# --- gc ---------------------------------------------------------------------------------------------------------------


def test_gc_removes_what_a_lost_journal_left_and_nothing_of_others(tmp_path: Path) -> None:
    state = tmp_path / "state"
    arguments = ["gc", "--backend", "process", "--state-dir", str(state), "--json"]
    run(*arguments)
    ours = leftover(state, (state / "owner").read_text().strip())
    foreign = leftover(state, "ff" * 8)

    dry, wet, again = (json.loads(run(*arguments, *extra).stdout) for extra in (["--dry-run"], [], []))

    assert [job["job_id"] for job in dry] == [job["job_id"] for job in wet] == [ours]
    assert again == []
    assert [found.handle.job_id for found in backend_of(state, "ff" * 8).list_jobs()] == [foreign]


def test_two_gc_at_once_remove_each_leftover_once(tmp_path: Path) -> None:
    state = tmp_path / "state"
    arguments = [*PROGRAM, "gc", "--backend", "process", "--state-dir", str(state), "--json"]
    subprocess.run(arguments, env=CLEAN, check=True, capture_output=True)
    owner = (state / "owner").read_text().strip()
    ours = {leftover(state, owner, process=f"{number:064x}"[::-1]) for number in range(1, 6)}

    both = [subprocess.Popen(arguments, env=CLEAN, text=True, stdout=-1, stderr=-1) for _ in range(2)]
    ends = [(*one.communicate(timeout=60), one.returncode) for one in both]

    removed = [job["job_id"] for printed, _, code in ends if code == 0 for job in json.loads(printed)]
    assert sorted(removed) == sorted(ours)
    assert all("another daemon uses this state directory" in said for _, said, code in ends if code), ends
    assert backend_of(state, owner).list_jobs() == []


def leftover(state: Path, owner: str, *, process: str = "ab" * 32) -> str:
    """Leave an ended job of *owner* behind and return its id."""
    backend = backend_of(state, owner)
    job = JobSpec(image="busybox", argv=("true",), mark=Mark(owner=owner, colony="dev", process_id=process))
    handle = backend.submit(backend.plan(job), lifetime=timedelta(seconds=30))
    wait_for(lambda: backend.status([handle])[handle.job_id].state.ended or None, "the end of the job")
    backend.close()
    return handle.job_id


def backend_of(state: Path, owner: str) -> Backend:
    return open_backend("process", owner=owner, directory=state / "process", dev=True)


# --- server -----------------------------------------------------------------------------------------------------------


def test_a_server_makes_keys_says_how_to_connect_and_keeps_its_data(tmp_path: Path) -> None:
    arguments = [*PROGRAM, "server", "--data", str(tmp_path / "data"), "--port", "0", "--colony", "my colony"]
    ids = []
    for _ in range(2):
        with (tmp_path / "out").open("wb") as out, (tmp_path / "err").open("wb") as err:
            server = subprocess.Popen(arguments, stdout=out, stderr=err, env=CLEAN)
        wait_for(lambda: "listening on http://127.0.0.1:" in (tmp_path / "err").read_text(), "the address")
        printed = (tmp_path / "out").read_text()
        shell = ["sh", "-c", f"{printed}\nenv"]
        environ = subprocess.run(shell, env={"PATH": os.defpath}, capture_output=True, text=True, check=True).stdout
        connected = dict(re.findall(r"(?m)^(COLONIES_\w+)=(.*)$", environ))
        ids.append(run("submit", "-", stdin=SPEC, environ=connected).stdout.strip())
        listed = run("ps", "-q", environ=connected).stdout.split()
        server.send_signal(signal.SIGINT)
        assert server.wait(20) == 0

    assert connected["COLONIES_COLONY_NAME"] == "my colony"
    assert 'PRVKEY="$(cat ' in printed
    assert sorted(listed) == sorted(ids)


def test_a_server_that_cannot_listen_says_why(colony: Colony, tmp_path: Path) -> None:
    taken = run("server", "--data", str(tmp_path), "--port", str(colony.port))
    exposed = run("server", "--data", str(tmp_path), "--port", "0", "--host", "192.0.2.1")

    assert taken.exit_code != 0
    assert "error: " in taken.stderr
    assert "Traceback" not in taken.stderr
    assert "can be reached by others" in exposed.stderr
