"""What a program prints is its own: neither a library call nor a retry writes to the standard output."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import sys
from datetime import timedelta
from pathlib import Path

import attrs
from container_executor_process import ProcessBackend

from container_executor import JobSpec, run_job
from container_executor.errors import UnavailableError
from container_executor.models import Mark

failures = iter([UnavailableError("the engine does not answer")] * 2)


@attrs.define(eq=False, kw_only=True)
class Shaky(ProcessBackend):
    def submit(self, plan, *, lifetime):
        for failure in failures:
            raise failure
        return super().submit(plan, lifetime=lifetime)


backend = Shaky(owner="0123456789abcdef", directory=Path(sys.argv[1]), dev=True)
job = JobSpec(mark=Mark(backend.owner, "dev", "ab" * 32), image="busybox", argv=("sh", "-c", "echo out; exit 3"))
print(run_job(backend, job, on_log=lambda line: None).exit_code)
"""


def test_a_library_call_that_is_repeated_prints_nothing(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path)], capture_output=True, text=True, timeout=60, check=False
    )

    assert run.returncode == 0, run.stderr
    assert run.stdout == "3\n"
    assert "the engine does not answer" in run.stderr


SLOW = """
import sys, time
from pathlib import Path

import attrs
from container_executor_process import ProcessBackend

from container_executor import JobSpec, run_job
from container_executor.execute.output import pace
from container_executor.models import LogChunk, LogLine, Mark

pace.LAST_OUTPUT, END = 1.0, sys.argv[2] == "ends"


@attrs.define(eq=False, kw_only=True)
class Slow(ProcessBackend):
    given: int = 0

    def logs(self, handle, cursor="", *, limit):
        time.sleep(0.3)
        self.given += 1
        more = self.given <= 10
        return LogChunk((LogLine(0, None, b"%d" % self.given),) if more else (), str(self.given), end=END and not more)


backend = Slow(owner="0123456789abcdef", directory=Path(sys.argv[1]), dev=True)
job = JobSpec(mark=Mark(backend.owner, "dev", "ab" * 32), image="busybox", argv=("true",))
run_job(backend, job, on_log=lambda line: print(line.data.decode()))
"""


@pytest.mark.parametrize(("way", "complaint"), [("ends", False), ("hangs", True)])
def test_output_that_keeps_coming_after_the_end_is_waited_for(tmp_path: Path, way: str, *, complaint: bool) -> None:
    run = subprocess.run(
        [sys.executable, "-c", SLOW, str(tmp_path), way], capture_output=True, text=True, timeout=60, check=False
    )

    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == [str(number) for number in range(1, 11)]
    assert ("did not come in time" in run.stderr) is complaint
