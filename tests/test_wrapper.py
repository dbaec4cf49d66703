"""The shell that every rank starts under, run by the shell of this machine."""

import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from container_executor.wrapper import wrap


@pytest.mark.parametrize(
    ("line", "code"), [("exit 0", 0), ("exit 3", 3), ("exit 127", 127), ("kill -KILL $$", 137), ("kill -SEGV $$", 139)]
)
def test_the_exit_code_is_the_programs_own(line: str, code: int) -> None:
    assert subprocess.run(wrap(["sh", "-c", line]), check=False).returncode == code


def test_a_missing_program_is_127_and_one_that_cannot_run_126() -> None:
    codes = [
        subprocess.run(wrap([program]), check=False, capture_output=True).returncode for program in ("/no/such", "/")
    ]

    assert codes == [127, 126]


def test_a_program_that_ends_in_the_moment_of_the_term_keeps_its_exit_code() -> None:
    def term(_number: int) -> int:
        program = "trap 'exit 5' TERM; echo ready; while :; do sleep 0.02; done"
        with subprocess.Popen(wrap(["sh", "-c", program]), stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            process.send_signal(signal.SIGTERM)
            return process.wait(timeout=30)

    with ThreadPoolExecutor(8) as threads:
        codes = list(threads.map(term, range(300)))

    assert codes == [5] * 300
