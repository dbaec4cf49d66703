"""``config check`` names everything that is wrong with the settings, and shows what is right with what set it."""

import json
from pathlib import Path

import pytest

from tests.cli.test_cli_program import run

WRONG = """\
bakend = "process"
[server]
prot = 1
host = "colonies.example.org"
[software]
zzz = 1
[executor]
parallel = 0
name = "::"
[limits]
walltime = "soon"
[backends.process]
allow_hots_execution = true
"""


@pytest.fixture
def wrong(tmp_path: Path) -> Path:
    file = tmp_path / "site.toml"
    file.write_text(WRONG)
    return file


def test_every_problem_is_named_with_its_line_what_was_expected_and_the_nearest_key(wrong: Path) -> None:
    result = run("config", "check", "--config", str(wrong), environ={"CONTAINER_EXECUTOR_EXECUTOR_DRAIN": "sometimes"})

    problems = result.stderr.partition("error: ")[2].replace(str(wrong), "FILE").splitlines()
    assert result.exit_code == 78
    assert problems == [
        "FILE:1: there is no setting bakend; did you mean backend?",
        "FILE:3: [server] has no setting prot; did you mean port?",
        "FILE:6: [software] has no setting zzz; it has name, type, version",
        "FILE:8: executor.parallel: must be >= 1: 0",
        "CONTAINER_EXECUTOR_EXECUTOR_DRAIN: executor.drain: 'sometimes' is not wait or handover",
        "FILE:11: limits.walltime: 'soon' is no duration; write 30s, 10m, 2h or 7d",
        "FILE:9: executor.name: '::' is no name for an executor; use a-z, 0-9, '.' and '-'",
        "FILE:13: [backends.process] has no setting allow_hots_execution; did you mean allow_host_execution?",
    ]


def test_what_is_right_is_shown_with_what_set_it_beside_what_is_wrong(wrong: Path) -> None:
    result = run("config", "check", "--config", str(wrong), "--changed", environ={"COLONIES_TLS": "false"})

    assert [line.split() for line in result.stdout.splitlines()[1:]] == [
        ["server.host", "colonies.example.org", f"{wrong}:4"],
        ["server.tls", "false", "COLONIES_TLS"],
        ["executor.name", "::", f"{wrong}:9"],
    ]
    assert f"problems: 7; file: {wrong}" in result.stderr


def test_a_wrong_value_is_shown_as_what_counts_instead(wrong: Path) -> None:
    printed = run("config", "check", "--config", str(wrong), "--json").stdout
    described = json.loads(printed)

    assert described["settings"]["executor.parallel"] == {"value": None, "source": "default"}
    assert len(described["problems"]) == 7


def test_settings_that_are_right_pass_with_the_file_that_counts(tmp_path: Path) -> None:
    file = tmp_path / "site.toml"
    file.write_text('backend = "process"\n[backends.process]\nallow_host_execution = true\n')

    result = run("config", "check", "--config", str(file))
    without = run("config", "check")

    assert (result.exit_code, without.exit_code) == (0, 0)
    assert f"no problem found; file: {file}" in result.stderr
    assert "backends.process.allow_host_execution" in result.stdout
    assert "no problem found" in without.stderr


def test_a_file_that_is_not_there_or_is_no_toml_is_one_problem_among_others(tmp_path: Path) -> None:
    file = tmp_path / "site.toml"
    file.write_text("[server\n")

    broken = run("config", "check", "--config", str(file), environ={"COLONIES_TLS": "maybe"})
    absent = run("config", "check", "--config", str(tmp_path / "none.toml"))

    assert f"{file} is not TOML" in broken.stderr
    assert "COLONIES_TLS: server.tls: 'maybe' is neither true nor false" in broken.stderr
    assert "cannot read it: No such file or directory" in absent.stderr


def test_a_key_is_checked_and_never_shown(tmp_path: Path) -> None:
    result = run("config", "check", "--json", environ={"COLONIES_PRVKEY": "5ec2e7"})

    assert result.exit_code == 78
    assert "COLONIES_PRVKEY: server.key: no private key: expected 64 hex digits" in result.stderr
    assert "5ec2e7" not in result.output
