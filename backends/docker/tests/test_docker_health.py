"""What is wrong with an engine, or with what a site says of it, is named with what mends it."""

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from container_executor_docker import health
from container_executor_docker.registries import refused
from container_executor_docker.settings import DockerSettings, LogDriver
from docker_support import MakeBackend

from container_executor.testing import require_engine

pytestmark = pytest.mark.engine("docker")


@pytest.mark.parametrize(
    ("version", "info", "what", "fix"),
    [
        ({"ApiVersion": "1.39"}, {}, "API 1.39 is too old", "install Docker 19.03 or newer"),
        ({}, {"LiveRestoreEnabled": False}, "a restart of dockerd ends all jobs", '"live-restore": true'),
        ({}, {"MemoryLimit": False}, "this kernel keeps no memory limits", "enable the memory control group"),
        ({}, {"PidsLimit": False}, "this kernel keeps no pids limits", "enable the pids control group"),
        ({}, {"CpuCfsQuota": False}, "this kernel keeps no cpu limits", "enable the cpu control group"),
        ({}, {"SecurityOptions": ["name=rootless"]}, "the engine maps users", "run the daemon as the user"),
        ({}, {"SecurityOptions": ["name=userns"]}, "the engine maps users", "an engine that maps none"),
    ],
)
def test_an_engine_that_cannot_keep_a_promise_is_named(
    api: Any, version: Mapping[str, Any], info: Mapping[str, Any], what: str, fix: str
) -> None:
    found = health.health({**api.version(), **version}, {**api.info(), **info}, [])

    (fault,) = [fault for fault in found.faults if what in fault.what]
    assert fix in fault.fix


def test_podman_without_its_log_driver_is_named(api: Any) -> None:
    podman = {"Plugins": {"Log": ["k8s-file", "none", "passthrough", "journald"]}}  # Podman 4.3.1

    (fault,) = health.log_faults(podman, LogDriver.LOCAL)

    assert 'log_driver = "json-file"' in fault.fix
    assert [*health.log_faults(podman, LogDriver.JSON_FILE), *health.log_faults(api.info(), LogDriver.LOCAL)] == []


@pytest.mark.parametrize(("in_container", "local", "goes"), [(True, True, "container"), (False, False, "machine")])
def test_a_guard_that_would_go_with_the_daemon_is_named(
    tmp_path: Path, goes: str, *, in_container: bool, local: bool
) -> None:
    bare = DockerSettings(owner="o", directory=tmp_path, user="1:1", paths={"/": "/"})
    with_guard = DockerSettings(owner="o", directory=tmp_path, user="1:1", paths={"/": "/"}, guard_image="i")

    (fault,) = health.settings_faults(bare, in_container=in_container, local=local)

    assert f"would go with this {goes}" in fault.what
    assert "set guard_image" in fault.fix
    assert not fault.fatal
    assert list(health.settings_faults(with_guard, in_container=in_container, local=local)) == []


def logins(folder: Path, registry: str, name: str, password: str) -> Path:
    """Keep a login as the docker command does."""
    folder.mkdir()
    auth = base64.b64encode(f"{name}:{password}".encode()).decode()
    (folder / "config.json").write_text(json.dumps({"auths": {registry: {"auth": auth}}}))
    (folder / "config.json").chmod(0o600)
    return folder


def test_a_login_that_the_registry_refuses_or_that_leads_nowhere_is_named(
    make_backend: MakeBackend, tmp_path: Path
) -> None:
    registry = require_engine("registry")
    address, name, password = (registry[key] for key in ("CE_REGISTRY", "CE_REGISTRY_USER", "CE_REGISTRY_PASSWORD"))
    well = logins(tmp_path / "well", address, name, password)
    wrong = logins(tmp_path / "wrong", address, name, "not-the-password")
    away = logins(tmp_path / "away", "127.0.0.1:9", name, password)

    def found(folder: Path) -> list[tuple[str, str]]:
        faults = make_backend(docker_config=folder).probe().faults
        return [(fault.what, fault.fix) for fault in faults if "registry" in fault.what]

    assert found(well) == []
    ((what, fix),) = found(wrong)
    assert f"cannot log in to registry {address}" in what
    assert fix == f"log in again: docker --config {wrong} login {address}"
    ((what, fix),) = found(away)
    assert "connection refused" in what
    assert fix == "see that the engine's machine reaches 127.0.0.1:9"
    assert "not-the-password" not in str(found(wrong))


@pytest.mark.parametrize(
    ("words", "fix"),
    [
        (
            "Get https://r.example/v2/: x509: certificate signed by unknown authority",
            "put the certificate of its authority into /etc/docker/certs.d/r.example/ca.crt on the engine's machine",
        ),
        (
            "Get https://r.example/v2/: http: server gave HTTP response to HTTPS client",
            "name it in insecure-registries of the engine's daemon.json, or let it speak TLS",
        ),
    ],
)
def test_what_tls_of_a_registry_lacks_is_named(tmp_path: Path, words: str, fix: str) -> None:
    assert refused("r.example", words, tmp_path).fix == fix
