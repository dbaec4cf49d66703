"""What a program finds: its arguments and variables byte for byte, its files, and nothing of the daemon's."""

import json

import pytest

from container_executor.models import OUTPUT_LIMIT
from container_executor.testing.bench import Bench, shell
from container_executor.testing.cases.base import Cases
from container_executor.testing.features import needs

TORTURE = (
    "",
    "plain",
    "two  words",
    " lead and trail ",
    "it's",
    'say "hi"',
    "$HOME ${HOME} $(HOME) $(id) $$ $1",
    "`id`",
    "a;b & c && d || e | f",
    "<in >out 2>&1",
    "é å 日本 🎉",
    "two\nlines\n",
    "tab\there",
    "\\d+ \\n \\\\",
    "C:\\temp\\new",
    '{"a": [1, "b", null], "c": "$d"}',
    "print('a<b') && date +%s",
    "* ? [a-z] ~ ~root !x #y %z ^",
    "--flag=value -rf",
    "a,b=c,d",
    "{{Command}} {processid} ${{x}}",
    "end\\",
)
"""Arguments and values that some quoting somewhere has broken: shells, templates, YAML, CSV and engines' own expansion."""


def _bracketed(words: tuple[str, ...]) -> bytes:
    return b"".join(f"<{word}>".encode() for word in words)


class EnvironmentCases(Cases):
    def test_arguments_arrive_byte_for_byte(self, bench: Bench) -> None:
        program = shell('for word; do printf "<%s>" "$word"; done', *TORTURE)

        assert bench.printed(program) == _bracketed(TORTURE)

    def test_a_shell_line_arrives_byte_for_byte(self, bench: Bench) -> None:
        line = """name='é "q"'; printf '%s|' "$name" "$(echo a\\\\d+)" '$HOME' `echo tick` "C:\\temp" a&&echo >&2 b; echo $((1+2))"""

        assert bench.printed(line).replace(b"b\n", b"") == 'é "q"|a\\d+|$HOME|tick|C:\\temp|a|3\n'.encode()

    def test_variables_arrive_byte_for_byte(self, bench: Bench) -> None:
        env = {f"CE_VALUE_{number}": value for number, value in enumerate(TORTURE)}
        line = 'printf "<%s>" ' + " ".join(f'"${name}"' for name in env)

        assert bench.printed(line, env=env) == _bracketed(TORTURE)

    def test_our_variables_win(self, bench: Bench) -> None:
        job = bench.job('echo "$RANK $WORLD_SIZE $COLONIES_PROCESS_ID $MINE"', env={"RANK": "7", "MINE": "kept"})
        handle = bench.submit(job)

        assert bench.output(handle) == f"0 1 {job.mark.process_id} kept\n".encode()

    def test_variables_of_the_daemon_do_not_arrive(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CE_TEST_SECRET", "leaked")

        assert bench.printed("echo ${CE_TEST_SECRET-clean}") == b"clean\n"

    def test_standard_input_is_empty(self, bench: Bench) -> None:
        assert bench.printed("cat; echo done") == b"done\n"

    def test_home_and_tmp_can_be_written(self, bench: Bench) -> None:
        line = 'for place in "$HOME" /tmp; do echo data > "$place/ce-probe" && rm "$place/ce-probe" && echo ok; done'

        assert bench.printed(line) == b"ok\nok\n"

    def test_the_input_is_a_file(self, bench: Bench) -> None:
        text = json.dumps({"parents": [1, "é", "it's $HOME\n"]}, ensure_ascii=False)

        assert bench.printed('cat "$COLONIES_INPUT"', input=text) == text.encode()

    def test_what_is_written_to_the_output_file_is_in_the_status(self, bench: Bench) -> None:
        text = '["é", 1]'
        handle = bench.start(shell('printf %s "$1" > "$COLONIES_OUTPUT"', text))

        assert bench.ended(handle).ranks[0].output == text

    def test_a_program_that_fails_may_have_output_too(self, bench: Bench) -> None:
        handle = bench.start('echo partial > "$COLONIES_OUTPUT"; exit 3')

        (rank,) = bench.ended(handle).ranks

        assert ((rank.output or "").strip(), rank.exit_code) == ("partial", 3)

    def test_no_output_is_no_text(self, bench: Bench) -> None:
        assert not bench.ended(bench.start("true")).ranks[0].output

    @needs("output_excess")
    def test_output_beyond_the_limit_can_be_told(self, bench: Bench) -> None:
        handle = bench.start(f"head -c {OUTPUT_LIMIT + 500} /dev/zero | tr '\\0' x > \"$COLONIES_OUTPUT\"")

        assert bench.ended(handle).ranks[0].output == "x" * (OUTPUT_LIMIT + 1)
