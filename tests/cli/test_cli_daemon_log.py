"""The daemon's own log: JSON for programs, with where a fault came from and without the values of variables."""

import json
import subprocess
import sys

SCRIPT = """
from container_executor.cli import daemon_log
from container_executor.client import Identity
from container_executor.logs import Logger
from container_executor.settings import Settings

daemon_log.configure(Settings())
password = Identity("ab" * 32)
try:
    raise ValueError("a fault")
except ValueError:
    Logger("test").exception("fault", process="123")
"""


def test_a_fault_is_logged_without_the_keys_that_were_at_hand() -> None:
    run = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60, check=True)

    assert run.stdout == ""
    entry = json.loads(run.stderr)
    assert (entry["event"], entry["process"]) == ("fault", "123")
    assert entry["exception"][0]["exc_value"] == "a fault"
    assert "ab" * 32 not in run.stderr
