"""An engine behind TLS is found, and believed, as the docker command would: by a context, or by variables."""

import subprocess
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path

import pytest
from container_executor_docker import DockerBackend
from docker_support import MakeBackend, MakeJob
from relay import make_certificates, relay

from container_executor.errors import UnavailableError, UnsupportedError
from container_executor.execute.library import run_job
from container_executor.models import Mount

pytestmark = [
    pytest.mark.engine("docker"),
    pytest.mark.usefixtures("user"),
    # requests leaves its end of a socket open when a handshake fails
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]

PATIENCE = timedelta(seconds=60)


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The configuration of a user of the docker command, which names no engine."""
    folder = tmp_path / "docker"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    return make_certificates(tmp_path / "keys")


@pytest.fixture
def remote(engine: Mapping[str, str], keys: Path) -> Iterator[str]:
    """The address of the engine as another machine has it, behind TLS."""
    with relay(engine["CE_DOCKER_SOCKET"], keys) as address:
        yield f"tcp://{address}"


def make_context(name: str, host: str, keys: Path) -> None:
    files = ",".join(f"{part}={keys / part}.pem" for part in ("ca", "cert", "key"))
    place = f"host={host},{files}"
    subprocess.run(["docker", "context", "create", name, "--docker", place], check=True, capture_output=True)


def printed(backend: DockerBackend, make_job: MakeJob) -> list[bytes]:
    lines: list[bytes] = []
    job = make_job("echo far away")
    outcome = run_job(backend, job, on_log=lambda line: lines.append(line.data), lifetime=PATIENCE)
    assert outcome.succeeded, outcome
    return lines


def test_a_context_with_certificates_names_an_engine_behind_tls(
    make_backend: MakeBackend, make_job: MakeJob, remote: str, keys: Path
) -> None:
    make_context("far", remote, keys)

    assert printed(make_backend(host="", context="far"), make_job) == [b"far away"]


def test_a_context_with_certificates_of_another_authority_is_refused(
    make_backend: MakeBackend, remote: str, tmp_path: Path
) -> None:
    make_context("wrong", remote, make_certificates(tmp_path / "others"))

    with pytest.raises(UnavailableError, match=r"(?i)certificate"):
        make_backend(host="", context="wrong").list_jobs()


def test_a_context_on_another_machine_refuses_directories_that_it_cannot_see(
    make_backend: MakeBackend, make_job: MakeJob, remote: str, keys: Path
) -> None:
    make_context("far", remote, keys)

    with pytest.raises(UnsupportedError, match="another machine and does not see /data/mine"):
        make_backend(host="", context="far").plan(make_job("true", mounts=(Mount("/data/mine", "/data"),)))


def test_the_variables_of_the_docker_command_name_an_engine_behind_tls(
    make_backend: MakeBackend,
    make_job: MakeJob,
    remote: str,
    keys: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in {"HOST": remote, "TLS_VERIFY": "1", "CERT_PATH": str(keys)}.items():
        monkeypatch.setenv(f"DOCKER_{name}", value)

    assert printed(make_backend(host=""), make_job) == [b"far away"]
