"""The program as a whole: quick help, one message for an error, exit codes, terminals, pipes, completion."""

import json
import os
import pty
import re
import select
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from container_executor.cli import cfs
from container_executor.cli.program import COMMANDS, program
from tests.cli.conftest import CLEAN, PROGRAM, Colony, Worker


def run(*arguments: str, environ: Mapping[str, str] | None = None, stdin: str = "") -> Result:
    return CliRunner(env={**CLEAN, "CONTAINER_EXECUTOR_CONFIG": "/dev/null", **(environ or {})}).invoke(
        program, list(arguments), input=stdin, prog_name="container-executor"
    )


def on_terminal(*arguments: str, environ: Mapping[str, str]) -> str:
    """Return what the program writes when all its streams are a terminal of 100 columns."""
    main, other = pty.openpty()
    variables = {**CLEAN, **environ, "TERM": "xterm-256color", "COLUMNS": "100"}
    child = subprocess.Popen([*PROGRAM, *arguments], env=variables, stdin=other, stdout=other, stderr=other)
    os.close(other)
    written = bytearray()
    while True:
        ready, _, _ = select.select([main], [], [], 30)
        assert ready, f"nothing more came after {bytes(written)!r}"
        try:
            data = os.read(main, 65_536)
        except OSError:  # what a terminal says when its other side is closed
            break
        if not data:
            break
        written += data
    child.wait(30)
    os.close(main)
    return written.decode()


# --- help -------------------------------------------------------------------------------------------------------------


def test_the_help_of_the_program_imports_no_command_and_nothing_heavy() -> None:
    code = (
        "import sys; from container_executor.cli.program import program\n"
        "try: program.main(['--help'])\n"
        "except SystemExit: print(sorted(name for name in sys.modules if name.partition('.')[0] in "
        "('aiohttp', 'anyio', 'rich', 'coincurve', 'docker', 'kubernetes', 'attrs', 'cattrs')))"
    )

    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=CLEAN).stdout

    assert printed.splitlines()[-1] == "[]"
    assert "Submit function specs." in printed


def first_paragraph(group: click.Group, name: str) -> str:
    command = group.get_command(click.Context(group), name)
    assert command is not None
    assert command.help is not None
    return " ".join(command.help.partition("\n\n")[0].split())


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_says_of_each_what_its_own_help_says_first(name: str) -> None:
    assert first_paragraph(program, name) == COMMANDS[name]
    assert run(name, "--help").exit_code == 0


@pytest.mark.parametrize("name", cfs.COMMANDS)
def test_the_list_of_file_commands_says_of_each_the_first_sentence_of_its_own_help(name: str) -> None:
    sentence, stop, _ = first_paragraph(cfs.cfs, name).partition(".")

    assert sentence + stop == cfs.COMMANDS[name]
    assert run("cfs", name, "--help").exit_code == 0


def test_the_help_of_a_command_imports_no_engine(colony: Colony) -> None:
    code = (
        "import sys; from container_executor.cli.program import program\n"
        "try: program.main(['run', '--help'])\n"
        "except SystemExit: print([name for name in sys.modules if name.partition('.')[0] in "
        "('docker', 'kubernetes', 'obstore') or name.startswith('container_executor_')])"
    )

    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=CLEAN).stdout

    assert printed.splitlines()[-1] == "[]"


def test_every_option_is_explained() -> None:
    for name, command in _all_of(program):
        unexplained = [option.name for option in command.params if isinstance(option, click.Option) and not option.help]
        assert unexplained == [], name


def _all_of(group: click.Group) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield name, command
        if isinstance(command, click.Group):
            yield from ((f"{name} {inner}", it) for inner, it in _all_of(command))


# --- errors -----------------------------------------------------------------------------------------------------------


def test_a_wrong_command_line_is_told_with_its_usage_and_code_64() -> None:
    for arguments in (
        ["nonsense"],
        ["ps", "--nonsense"],
        ["get"],
        ["run", "spec.json"],
        ["submit", "missing.json"],
        ["ps", "-o", "x"],
    ):
        result = run(*arguments)
        assert (result.exit_code, result.stdout) == (64, "")
        assert "error: " in result.stderr


def test_a_wrong_configuration_is_told_completely_with_code_78() -> None:
    result = run("config", environ={"COLONIES_TLS": "maybe", "EXECUTOR_HW_NODES": "two"})

    assert (result.exit_code, result.stdout) == (78, "")
    assert result.stderr.splitlines() == [
        "error: COLONIES_TLS: server.tls: 'maybe' is neither true nor false",
        "EXECUTOR_HW_NODES: hardware.nodes: 'two' is no whole number",
    ]


def test_an_error_shows_where_it_came_from_only_when_asked() -> None:
    assert "Traceback" not in run("ps").stderr
    assert "Traceback" in run("ps", "--verbose").stderr
    assert "Traceback" not in run("ps").stderr


def test_a_fault_of_the_program_is_one_message_and_code_70(monkeypatch: pytest.MonkeyPatch) -> None:
    module = import_module("container_executor.cli.config")
    monkeypatch.setattr(module, "fields", lambda: 1 / 0)

    result = run("config")

    assert result.exit_code == 70
    assert "a fault of this program: ZeroDivisionError" in result.stderr
    assert "Traceback" not in result.stderr


def test_control_characters_in_an_error_are_written_out() -> None:
    result = run(
        "get", "\x1b[2Jx", environ={"COLONIES_COLONY_NAME": "c", "COLONIES_PRVKEY": "ab" * 32, "COLONIES_TLS": "false"}
    )

    assert "\x1b" not in result.stderr
    assert "x1b[2Jx" in result.stderr


def test_a_secret_is_in_no_output_of_any_command(tmp_path: Path) -> None:
    secret = "5ec2e7" * 10 + "abcd"
    environ = dict.fromkeys(
        ("COLONIES_PRVKEY", "COLONIES_COLONY_PRVKEY", "COLONIES_SERVER_PRVKEY", "AWS_S3_SECRETKEY"), secret
    )
    environ |= {"COLONIES_COLONY_NAME": "c", "COLONIES_SERVER_PORT": "1", "COLONIES_TLS": "false"}

    for arguments in (
        ["config"],
        ["config", "--json"],
        ["ps", "-v"],
        ["executors", "-v"],
        ["config", "-o", f"server.key={secret}"],
    ):
        result = run(*arguments, environ=environ)
        assert secret not in result.output


# --- terminals and pipes ----------------------------------------------------------------------------------------------


def test_a_table_on_a_terminal_fits_its_width(colony: Colony) -> None:
    spec = {
        "funcname": "execute",
        "kwargs": {"cmd": "x", "docker-image": "long/" * 40},
        "conditions": {"executortype": "t"},
    }
    process_id = colony.run("submit", "-", stdin=json.dumps(spec)).stdout.strip()

    shown = re.sub(r"\x1b\[[0-9;]*m", "", on_terminal("ps", environ=colony.environ))

    assert process_id[:12] in shown
    assert max(len(line) for line in shown.splitlines()) <= 100


def test_a_log_on_a_terminal_cannot_rule_it(colony: Colony, worker: Worker) -> None:
    spec = {
        "funcname": "execute",
        "kwargs": {"cmd": "x", "docker-image": "y"},
        "conditions": {"executortype": worker.name},
    }
    process_id = colony.run("submit", "-", stdin=json.dumps(spec)).stdout.strip()
    worker.take()
    worker.call(lambda client: client.add_log(process_id, "\x1b]0;title\x07\x9b2J\r\u202eé\tok\n"))
    worker.call(lambda client: client.close_failed(process_id, ["\x1b[2Jreason"]))

    log = on_terminal("logs", process_id, environ=colony.environ)
    sheet = on_terminal("get", process_id, environ=colony.environ)

    assert log.splitlines() == [r"\x1b]0;title\x07\x9b2J\r\u202eé" + "\tok"]
    assert r"\x1b[2Jreason" in sheet
    assert "\x1b[2J" not in sheet


def test_no_color_is_respected_and_pipes_get_none(colony: Colony) -> None:
    assert "\x1b[" in on_terminal("ps", "--port", "1", environ=colony.environ)
    assert "\x1b[" not in on_terminal("ps", "--port", "1", environ={**colony.environ, "NO_COLOR": "1"})
    piped = subprocess.run([*PROGRAM, "ps"], env={**CLEAN, **colony.environ}, capture_output=True, check=True)
    assert b"\x1b" not in piped.stdout + piped.stderr


def test_a_piped_table_is_not_cut(colony: Colony) -> None:
    result = run("config", environ={"AWS_S3_BUCKET": "b" * 300})

    assert "b" * 300 in result.stdout
    assert all(line == line.rstrip() for line in result.stdout.splitlines())


# --- completion -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_are_printed_for_every_shell(shell: str) -> None:
    result = run("completion", shell)

    assert result.exit_code == 0
    assert "_CONTAINER_EXECUTOR_COMPLETE" in result.stdout


def test_the_bash_script_is_bash_and_completes_commands_and_backends(tmp_path: Path) -> None:
    script = tmp_path / "completion.bash"
    script.write_text(run("completion", "bash").stdout)
    subprocess.run(["bash", "-n", str(script)], check=True)

    def complete(words: str) -> list[str]:
        count = str(len(words.split(" ")) - 1)
        variables = {**CLEAN, "COMP_WORDS": words, "COMP_CWORD": count, "_CONTAINER_EXECUTOR_COMPLETE": "bash_complete"}
        code = "from container_executor.cli import main; main()"
        printed = subprocess.run(
            [sys.executable, "-c", code], env=variables, capture_output=True, text=True, check=True
        )
        return [line.partition(",")[2] for line in printed.stdout.splitlines()]

    assert complete("container-executor com") == ["completion"]
    assert complete("container-executor run --backend pro") == ["process"]
    assert "--follow" in complete("container-executor submit --fo")
