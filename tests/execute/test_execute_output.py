"""What a program prints is its own: neither a library call nor a retry writes to the standard output."""

import subprocess
import sys
from pathlib import Path

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
