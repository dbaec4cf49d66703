"""How a daemon ends: it takes nothing new, and waits for its jobs, stops them, or leaves them to the next start."""

import json
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

from colonies import Colony, DaemonProgram, wait_for
from heartbeat import beating, heartbeat, runs

from container_executor.client import ProcessState

HOST = "backends.process.allow_host_execution=true"


def test_the_first_signal_takes_nothing_new_and_waits_for_what_runs(
    colony: Colony, daemon: DaemonProgram, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    daemon.start()
    running = colony.submit(f"until [ -e {go} ]; do sleep 0.1; done; echo done; exit 5")
    colony.wait(running, ProcessState.RUNNING)

    daemon.signal(signal.SIGTERM)
    wait_for(lambda: daemon.health()["state"] == "draining", "the state in its health report")
    wait_for(lambda: not daemon.health()["claiming"], "the end of its last question for work")
    waiting = colony.submit("true")
    go.touch()

    assert daemon.wait() == 0
    assert colony.process(running).state is ProcessState.FAILED
    assert colony.outcome(running)["exitcode"] == "5"
    assert colony.output(running) == ["done"]
    assert colony.process(waiting).state is ProcessState.WAITING


def test_the_second_signal_stops_the_jobs_with_grace(colony: Colony, daemon: DaemonProgram, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    daemon.start()
    process_id = colony.submit(
        f"trap 'echo saved; exit 9' TERM; touch {begun}; while :; do sleep 0.1; done", maxexectime=300
    )
    wait_for(begun.exists, "its start")

    daemon.signal(signal.SIGTERM)
    wait_for(lambda: daemon.health()["state"] == "draining", "the first signal")
    daemon.signal(signal.SIGTERM)

    assert daemon.wait() == 0
    assert colony.process(process_id).state is ProcessState.FAILED
    assert "saved" in colony.output(process_id)
    assert colony.verdict(process_id)["failure"] == "evicted"
    records = [json.loads(line) for line in daemon.log().splitlines()]
    answers = [record for record in records if record["event"].startswith(("draining: ", "stopping "))]
    assert [(answer["level"], answer["live"]) for answer in answers] == [("warning", 1), ("warning", 1)]


def test_a_daemon_that_hands_over_leaves_its_jobs_to_the_next_start(
    colony: Colony, make_daemon: Callable[..., DaemonProgram], tmp_path: Path
) -> None:
    beats = tmp_path / "beats"
    daemon = make_daemon(options=(HOST, "executor.drain=handover"))
    daemon.start()
    process_id = colony.submit(f"{heartbeat(beats, 5)}; echo done")
    wait_for(partial(beating, beats), "its first heartbeat")

    daemon.signal(signal.SIGTERM)
    assert daemon.wait() == 0
    assert "1 jobs go on; start again before" in daemon.log()
    assert colony.process(process_id).state is ProcessState.RUNNING
    daemon.start()

    assert colony.wait(process_id).state is ProcessState.SUCCESS
    assert colony.output(process_id) == ["done"]
    assert len(runs(beats)) == 1


def test_hup_has_the_configuration_read_again(
    colony: Colony, make_daemon: Callable[..., DaemonProgram], tmp_path: Path
) -> None:
    go, config = tmp_path / "go", tmp_path / "config.toml"
    config.write_text("[executor]\nparallel = 1\n")
    daemon = make_daemon()
    daemon.start(CONTAINER_EXECUTOR_CONFIG=str(config))
    ids = [colony.submit(f"until [ -e {go} ]; do sleep 0.1; done") for _ in range(3)]
    wait_for(lambda: len(colony.live()) == 1, "one job")

    config.write_text("[executor]\nparallel = 'many'\n")
    daemon.signal(signal.SIGHUP)
    wait_for(lambda: "the configuration is kept as it was" in daemon.log(), "the mistake in its log")
    config.write_text("[executor]\nparallel = 3\nlocation = 'elsewhere'\n[limits]\nranks = 2\n")
    daemon.signal(signal.SIGHUP)
    wait_for(lambda: len(colony.live()) == 3, "all jobs")
    too_large = colony.submit("true", conditions={"processespernode": 3})
    go.touch()

    assert '"needs_a_restart": ["executor.location"]' in daemon.log()
    for process_id in ids:
        assert colony.wait(process_id).state is ProcessState.SUCCESS
    assert colony.wait(too_large).state is ProcessState.FAILED
    assert colony.verdict(too_large)["failure"] == "invalid_spec"
