"""The daemon's log says of each process who ran what and how it ended, as JSON, with the ids to find it by elsewhere."""

import hashlib
import json
import subprocess
import sys
from typing import Any

from colonies import Colony, DaemonProgram, wait_for

from container_executor.client import ProcessState


def lines(daemon: DaemonProgram) -> list[dict[str, Any]]:
    """Return all lines of the daemon's log; every one of them is JSON."""
    return [json.loads(line) for line in daemon.log().splitlines()]


def test_a_process_is_named_with_who_and_what_at_its_assignment_and_at_its_end(
    colony: Colony, daemon: DaemonProgram
) -> None:
    daemon.start()
    process_id = colony.submit("sh", "-c", "exit 3", image="busybox")
    colony.wait(process_id)
    wait_for(lambda: "process closed" in daemon.log(), "the line of the close")

    (assigned,), (launched,), (closed,) = (
        [line for line in lines(daemon) if line["event"] == event]
        for event in ("process assigned", "launched", "process closed")
    )
    command = hashlib.sha256(b'[null,"sh",["-c","exit 3"]]').hexdigest()
    who = {
        "executor": "tester",
        "colony": "dev",
        "initiator": "tester",
        "initiator_id": colony.user.id,
        "process": process_id,
        "attempt": 0,
        "funcname": "execute",
        "image": "busybox",
        "command": f"sha256:{command}",
    }
    assert who.items() <= assigned.items()
    assert who.items() <= closed.items()
    assert (closed["outcome"], closed["exit_code"], closed["launch"], closed["stood"]) == ("user_exit", 3, 1, True)
    assert launched["native_id"] == closed["native_id"] != ""
    assert launched["process"] == process_id
    assert launched["job"].startswith("ce-")


def test_a_process_that_is_not_closed_is_told_likewise(colony: Colony, daemon: DaemonProgram) -> None:
    daemon.start()
    process_id = colony.submit("sleep", "60")
    wait_for(lambda: '"launched"' in daemon.log(), "its launch")
    colony.call(colony.client.cancel, process_id)
    colony.wait(process_id, ProcessState.CANCELLED)

    left = wait_for(
        lambda: next((line for line in lines(daemon) if line["event"] == "process left open"), None), "its end"
    )

    assert (left["process"], left["image"], left["why"]) == (process_id, "busybox", "cancelled")
    assert left["initiator_id"] == colony.user.id


def test_after_a_restart_every_line_about_a_process_still_bears_its_job(colony: Colony, daemon: DaemonProgram) -> None:
    daemon.start()
    process_id = colony.submit("sleep", "3")
    wait_for(lambda: '"launched"' in daemon.log(), "its launch")
    daemon.kill()

    daemon.start()
    colony.wait(process_id)
    closed = wait_for(
        lambda: next((line for line in lines(daemon) if line["event"] == "process closed"), None), "its end"
    )

    assert closed["job"].startswith("ce-")
    assert closed["outcome"] == "success"


def test_a_secret_argument_is_not_in_the_log(colony: Colony, daemon: DaemonProgram) -> None:
    daemon.start()
    colony.wait(colony.submit("echo", "--password=5ec2e7", env={"TOKEN": "5ec2e7"}))
    wait_for(lambda: "process closed" in daemon.log(), "the line of the close")

    assert "5ec2e7" not in daemon.log()


def test_what_libraries_log_is_json_too() -> None:
    code = (
        "import logging; from container_executor.cli import daemon_log; from container_executor.settings import Settings\n"
        "daemon_log.configure(Settings())\n"
        "from container_executor.execute.who import about\n"
        "from container_executor.client import Process, ProcessState\n"
        "with about(Process('ab', ProcessState.RUNNING, {}, 'dev', attempt=2), None):\n"
        "    try: 1 / 0\n"
        "    except ZeroDivisionError: logging.getLogger('lib').exception('it is %s', 'broken')\n"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    line = json.loads(done.stderr)
    assert (line["event"], line["logger"], line["level"]) == ("it is broken", "lib", "error")
    assert (line["process"], line["attempt"]) == ("ab", 2)
    assert "ZeroDivisionError" in json.dumps(line["exception"])
