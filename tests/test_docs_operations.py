"""The unit of systemd and the image of the daemon are what their programs accept, and name only settings that exist."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from container_executor.cli.program import program

ROOT = Path(__file__).parent.parent
UNIT = (ROOT / "examples" / "systemd" / "container-executor.service").read_text()
IMAGE = (ROOT / "examples" / "container" / "Dockerfile").read_text()
PAGE = (ROOT / "docs" / "operations.md").read_text()


def config(*arguments: str, environ: dict[str, str] | None = None) -> Result:
    return CliRunner(env={"CONTAINER_EXECUTOR_CONFIG": "/dev/null", **(environ or {})}).invoke(
        program, ["config", "check", *arguments]
    )


def test_systemd_takes_the_unit_as_it_is(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    here = tmp_path / "container-executor.service"
    here.write_text(re.sub(r"(?<==)/opt/\S+/container-executor", sys.executable, UNIT))

    done = subprocess.run(["systemd-analyze", "verify", here], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")


def test_the_unit_leaves_jobs_running_and_comes_back_until_the_configuration_is_wrong() -> None:
    settings = dict(line.split("=", 1) for line in UNIT.splitlines() if re.match(r"[A-Z]\w+=", line))

    assert (settings["Type"], settings["KillMode"], settings["Restart"]) == ("notify", "process", "on-failure")
    assert settings["StartLimitIntervalSec"] == "0"
    assert settings["RestartPreventExitStatus"] == "78"


def test_the_command_of_the_unit_is_one_that_this_program_takes(tmp_path: Path) -> None:
    command = re.search(r"^ExecStart=(.*)$", UNIT, re.MULTILINE)
    assert command is not None
    (tmp_path / "config.toml").write_text("")
    line = command[1].replace("${STATE_DIRECTORY}", str(tmp_path)).replace("/etc/container-executor", str(tmp_path))

    _, run, *options = shlex.split(line)
    result = config(*options)

    assert run == "run"
    assert result.exit_code == 0, result.stderr


def test_the_variables_of_the_image_are_settings_and_what_it_copies_is_there() -> None:
    environ = dict(re.findall(r"(CONTAINER_EXECUTOR_\w+)=(\S+)", IMAGE))
    copied = [source for line in re.findall(r"^COPY (.+) /src/\S*$", IMAGE, re.MULTILINE) for source in line.split()]

    result = config(environ=environ)

    assert result.exit_code == 0, result.stderr
    assert {"pyproject.toml", "container_executor", "backends"} <= set(copied)
    assert [source for source in copied if not (ROOT / source).exists()] == []


def test_the_configurations_of_the_page_are_right(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("\n".join(re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)))

    result = config("--config", str(file))

    assert result.exit_code == 0, result.stderr
