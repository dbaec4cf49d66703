"""Commands end in time, with bounded output, typed errors and no secret in any message."""

import os
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from container_executor.command import run
from container_executor.errors import RejectedError, UnavailableError
from container_executor.secret import Secret
from container_executor.testing.bench import wait_for

SOON = timedelta(seconds=20)
BRIEFLY = timedelta(seconds=0.3)


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def wait_until_gone(pid: int) -> None:
    wait_for(lambda: gone(pid), timedelta(seconds=10), f"the end of {pid}")


def test_arguments_arrive_as_they_are_without_a_shell() -> None:
    words = ["$HOME", "a b", "'\"", "*", "é", "", "-n"]

    result = run([sys.executable, "-c", "import sys; print(sys.argv[1:])", *words], timeout=SOON)

    assert result.stdout == f"{words}\n"
    assert (result.exit_code, result.cut) == (0, False)


def test_the_program_reads_what_it_is_given_and_both_streams_come_back() -> None:
    result = run(["sh", "-c", "cat; echo oops >&2"], timeout=SOON, stdin="é\n" * 100_000)

    assert result.stdout == "é\n" * 100_000
    assert result.stderr == "oops\n"


def test_a_program_that_does_not_read_is_no_error() -> None:
    assert run(["true"], timeout=SOON, stdin="x" * 1_000_000).exit_code == 0


def test_only_the_given_variables_are_there_and_the_directory_is_the_given_one(tmp_path: Path) -> None:
    result = run(["/usr/bin/env"], timeout=SOON, env={"A": "1"}, cwd=tmp_path)

    assert result.stdout == "A=1\n"
    assert run(["/bin/pwd"], timeout=SOON, cwd=tmp_path).stdout == f"{tmp_path}\n"


def test_output_beyond_the_limit_is_read_and_left_out() -> None:
    result = run(["sh", "-c", "yes | head -c 3000000; echo end >&2"], timeout=SOON, limit=1000)

    assert len(result.stdout) == 1000
    assert result.stderr == "end\n"
    assert result.cut


def test_output_that_is_no_utf8_is_replaced() -> None:
    assert run(["printf", r"a\377b"], timeout=SOON).stdout == "a\ufffdb"


@pytest.mark.parametrize(("line", "code"), [("exit 3", 3), ("kill -9 $$", 137), ("kill -TERM $$", 143)])
def test_a_failure_is_rejected_with_the_last_words_or_returned_when_asked(line: str, code: int) -> None:
    argv = ["sh", "-c", f"echo first; echo because >&2; {line}"]

    with pytest.raises(RejectedError, match=f"^sh ended with {code}: because$"):
        run(argv, timeout=SOON)
    assert run(argv, timeout=SOON, check=False).exit_code == code


def test_what_does_not_end_in_time_is_killed_with_its_children(tmp_path: Path) -> None:
    pids = tmp_path / "pids"

    with pytest.raises(UnavailableError, match=r"^sh did not end within 0.3 s$"):
        run(["sh", "-c", f"trap '' TERM; sleep 60 & echo $$ $! > {pids}; wait"], timeout=BRIEFLY)

    for pid in pids.read_text().split():
        wait_until_gone(int(pid))


def test_a_program_gets_a_session_of_its_own_so_that_all_of_it_can_be_ended() -> None:
    code = "import os; print(os.getsid(0) == os.getpid())"

    assert run([sys.executable, "-c", code], timeout=SOON).stdout == "True\n"


def test_a_child_that_keeps_the_output_open_is_not_waited_for(tmp_path: Path) -> None:
    result = run(["sh", "-c", "sleep 60 & echo $!"], timeout=timedelta(seconds=30))

    pid = int(result.stdout)
    assert not gone(pid)
    os.kill(pid, 9)


@pytest.mark.parametrize(
    ("argv", "words"),
    [(["no-such-program"], "there is no no-such-program on PATH"), (["/etc"], "Permission denied")],
)
def test_a_program_that_cannot_be_started_is_unavailable(argv: list[str], words: str) -> None:
    with pytest.raises(UnavailableError, match=words):
        run(argv, timeout=SOON)


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="there is no directory "):
        run(["true"], timeout=SOON, cwd=tmp_path / "missing")


def test_a_nul_in_an_argument_is_refused() -> None:
    with pytest.raises(RejectedError, match="null"):
        run(["echo", "a\0b"], timeout=SOON)


def test_secrets_given_to_a_program_are_masked_in_what_it_says() -> None:
    secret = Secret("hunter2-and-more")

    result = run(
        ["sh", "-c", 'cat; echo "$PW" >&2'], timeout=SOON, stdin=secret, env={"PW": secret, "PATH": os.defpath}
    )
    with pytest.raises(RejectedError) as caught:
        run(["sh", "-c", 'echo "bad login $PW" >&2; exit 1'], timeout=SOON, env={"PW": secret, "PATH": os.defpath})

    assert (result.stdout, result.stderr) == ("***", "***\n")
    assert str(caught.value) == "sh ended with 1: bad login ***"
