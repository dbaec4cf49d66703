"""``docs/command-line.md`` knows every command, every option and every exit code."""

import inspect
import re
from pathlib import Path

import click

from container_executor.cli import exit_codes
from container_executor.cli.exit_codes import ExitCode
from container_executor.cli.program import COMMANDS, program

PAGE = (Path(__file__).parent.parent / "docs" / "command-line.md").read_text()


def test_every_command_has_a_row_and_there_are_no_others() -> None:
    rows = re.findall(r"^\| `(\w+)\b.*` \|", PAGE.partition("## Exit codes")[0], re.MULTILINE)

    assert rows == list(COMMANDS)


def test_every_option_is_mentioned_and_no_other_is() -> None:
    known = {"--help"}
    for name in COMMANDS:
        command = program.get_command(click.Context(program), name)
        assert command is not None
        options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
        known.update(spelling for option in options for spelling in (*option.opts, *option.secondary_opts))
        for option in options:
            assert any(f"{spelling}" in PAGE for spelling in option.opts), (name, option.opts)

    mentioned = set(re.findall(r"(?<![\w'=-])--[a-z][a-z-]*", PAGE.replace("'kwargs.args[0]=--fast'", "")))
    assert mentioned <= known


def test_every_exit_code_is_explained_as_in_the_code() -> None:
    listed = {int(code): words for code, words in re.findall(r"^\| (\d+) \| (.+) \|$", PAGE, re.MULTILINE)}
    source = dict(re.findall(r"    \w+ = (\d+)  # (.+)", inspect.getsource(exit_codes)))

    assert set(listed) == {int(code) for code in ExitCode}
    assert {code: listed[int(code)] for code in source} == source
