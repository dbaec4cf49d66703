"""``doctor`` names what is wrong with a real engine or store, and finds nothing wrong with one that is well."""

import json
import os
import socket
from collections.abc import Mapping
from pathlib import Path

import pytest

from container_executor.testing.engines import require_engine
from tests.cli.test_cli_doctor import seen_by_one_whom_permissions_bind
from tests.cli.test_cli_program import run

Findings = list[tuple[str, str, str]]


def look(backend: str, state: Path, *options: str, environ: Mapping[str, str] | None = None) -> Findings:
    """Return level, what is seen and fix of each finding about *backend*, in development mode."""
    settings = [part for option in options for part in ("-o", option)]
    result = run(
        "doctor", "--dev", "--json", "--backend", backend, "--state-dir", str(state), *settings, environ=environ
    )
    found = json.loads(result.stdout)
    assert result.exit_code == (78 if any(each["level"] == "fault" for each in found) else 0)
    return [(each["level"], each["why"], each["fix"]) for each in found if each["what"] == backend]


# --- docker -----------------------------------------------------------------------------------------------------------


def test_docker_without_a_daemon_and_without_the_right_to_speak_to_it(tmp_path: Path) -> None:
    pytest.importorskip("docker")
    place = tmp_path / "docker.sock"
    host = f"backends.docker.host=unix://{place}"
    missing = look("docker", tmp_path, host)
    with socket.socket(socket.AF_UNIX) as engine:
        engine.bind(str(place))
        dead = look("docker", tmp_path, host)
        engine.listen()
        place.chmod(0o000)
        arguments = ("doctor", "--dev", "--json", "--backend", "docker", "--state-dir", str(tmp_path), "-o", host)
        seen = seen_by_one_whom_permissions_bind(*arguments, environ={})

    assert missing == [("fault", f"no engine at unix://{place}: No such file or directory", missing[0][2])]
    assert "systemctl start docker" in missing[0][2]
    assert "Connection refused" in dead[0][1]
    assert "systemctl start docker" in dead[0][2]
    denied = next(each for each in seen if each["what"] == "docker")
    assert (denied["level"], denied["why"]) == ("fault", f"no engine at unix://{place}: Permission denied")
    assert "add the daemon's user to the group of that socket" in denied["fix"]


@pytest.mark.engine("docker")
def test_a_docker_that_is_well_has_no_fault(tmp_path: Path) -> None:
    host = require_engine("docker")["CE_DOCKER_HOST"]

    found = look("docker", tmp_path, f"backends.docker.host={host}")

    assert [each for each in found if each[0] == "fault"] == []
    assert any(why.startswith("Docker ") for _, why, _ in found)


@pytest.mark.engine("docker")
def test_a_docker_whose_registry_logins_others_can_read(tmp_path: Path) -> None:
    host = require_engine("docker")["CE_DOCKER_HOST"]
    config = tmp_path / "config.json"
    options = (f"backends.docker.host={host}", f"backends.docker.docker_config={tmp_path}")
    absent = look("docker", tmp_path, *options)
    config.write_text("{}")
    config.chmod(0o644)
    readable = look("docker", tmp_path, *options)

    assert (
        "fault",
        f"the logins of registries, {config}, are not there",
        "set docker_config in [backends.docker]",
    ) in absent
    assert ("fault", f"others can read the logins of registries, {config}", f"chmod 600 {config}") in readable


# --- kube -------------------------------------------------------------------------------------------------------------


def test_a_kube_that_does_not_answer(tmp_path: Path) -> None:
    pytest.importorskip("kubernetes")
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    file = tmp_path / "kubeconfig"
    cluster = {"name": "c", "cluster": {"server": f"http://127.0.0.1:{port}"}}
    context = {"name": "x", "context": {"cluster": "c", "user": "u", "namespace": "jobs"}}
    user = {"name": "u", "user": {"token": "t"}}
    file.write_text(json.dumps({"current-context": "x", "clusters": [cluster], "contexts": [context], "users": [user]}))

    ((level, _, fix),) = look("kube", tmp_path, f"backends.kube.kubeconfig={file}")

    assert level == "fault"
    assert fix.startswith("see that the apiserver is up")


@pytest.mark.engine("kube")
def test_a_kube_where_rights_are_missing_and_one_that_is_well(tmp_path: Path) -> None:
    require_engine("kube")
    lines = os.environ

    refused = look("kube", tmp_path, f"backends.kube.kubeconfig={lines['CE_KUBECONFIG_NORIGHTS']}")
    well = look("kube", tmp_path, f"backends.kube.kubeconfig={lines['CE_KUBECONFIG']}")

    assert {level for level, _, _ in refused} == {"fault"}
    assert any("may not create, list, get, patch, delete jobs in namespace jobs" in why for _, why, _ in refused)
    assert all("Role" in fix for _, _, fix in refused)
    assert [level for level, _, _ in well] == ["ok"]


# --- slurm ------------------------------------------------------------------------------------------------------------


def test_a_machine_without_slurm(tmp_path: Path) -> None:
    ((level, why, fix),) = look("slurm", tmp_path, f"backends.slurm.commands={tmp_path}")

    assert (level, "sinfo" in why) == ("fault", True)
    assert "see that sinfo and squeue run here" in fix


@pytest.mark.engine("slurm")
def test_a_slurm_without_that_partition_apptainer_accounting_or_a_place_for_images(tmp_path: Path) -> None:
    lines = require_engine("slurm")
    (tmp_path / "way").write_text("")
    commands = tmp_path / "commands"
    commands.mkdir()
    for program in Path(lines["CE_SLURM_BIN"]).iterdir():
        if program.name != "sacct":
            (commands / program.name).write_text(f'#!/bin/sh\nexec {program} "$@"\n')
            (commands / program.name).chmod(0o755)
    shared = f"backends.slurm.shared={lines['CE_SLURM_DIR']}"
    well = look("slurm", tmp_path, f"backends.slurm.commands={lines['CE_SLURM_BIN']}", shared)
    wrong = ("partition=nope", "apptainer=/no/apptainer", f"image_cache={tmp_path / 'way'}", f"commands={commands}")
    broken = look("slurm", tmp_path, shared, *(f"backends.slurm.{each}" for each in wrong))

    assert [level for level, _, _ in well] == ["ok"]
    assert [why for _, why, _ in broken] == [
        f"{tmp_path / 'way'} cannot be written",
        "there is no partition nope",
        "the accounting does not answer",
        "/no/apptainer does not run on this machine",
    ]
    fixes = [fix for _, _, fix in broken]
    assert "backends.slurm.image_cache" in fixes[0]
    assert "one that sinfo lists" in fixes[1]
    assert "start slurmdbd" in fixes[2]
    assert "backends.slurm.apptainer" in fixes[3]


# --- the store of files -----------------------------------------------------------------------------------------------


@pytest.mark.engine("minio")
def test_a_store_with_a_wrong_key_or_without_its_bucket_and_one_that_is_well(tmp_path: Path) -> None:
    lines = require_engine("minio")
    environ = {
        "AWS_S3_ENDPOINT": lines["CE_S3_ENDPOINT"],
        "AWS_S3_BUCKET": lines["CE_S3_BUCKET"],
        "AWS_S3_ACCESSKEY": lines["CE_S3_ACCESSKEY"],
        "AWS_S3_SECRETKEY": lines["CE_S3_SECRETKEY"],
    }

    def store(**changed: str) -> dict[str, str]:
        result = run(
            "doctor", "--dev", "--json", "-b", "process", "--state-dir", str(tmp_path), environ={**environ, **changed}
        )
        (found,) = [each for each in json.loads(result.stdout) if each["what"] == "file store"]
        return dict(found)

    well, wrong, missing = store(), store(AWS_S3_SECRETKEY="wrong"), store(AWS_S3_BUCKET="no-such-bucket")

    assert well["level"] == "ok"
    assert wrong["level"] == "fault"
    assert "refused us" in wrong["why"]
    assert "check its keys and their rights in [cfs]" in wrong["fix"]
    assert (missing["level"], missing["why"]) == ("warning", "bucket no-such-bucket is not there")
