"""Keys that are wrong, or that somebody changes, are put right under the running daemon: HUP has them read again."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from colonies import Colony, DaemonProgram, wait_for
from locked_store import locked_store

from container_executor.client import Executor, Identity, ProcessState
from container_executor.client.call import Call, nothing

HOST = "backends.process.allow_host_execution=true"
Make = Callable[..., DaemonProgram]


def write(path: Path, text: str) -> Path:
    path.touch(mode=0o600)
    path.write_text(text)
    return path


def add(colony: Colony, name: str, identity: Identity) -> None:
    owner = colony.client.as_(colony.owner)
    executor = Executor(name=name, id=identity.id, type="container-executor", colony=colony.name)
    colony.call(owner.add_executor, executor)
    colony.call(owner.approve_executor, name)


def test_a_daemon_whose_key_the_server_does_not_know_works_once_it_has_the_right_one(
    colony: Colony, make_daemon: Make, tmp_path: Path
) -> None:
    wrong, right = Identity.new(), Identity.new()
    add(colony, "tester", right)
    file = write(tmp_path / "executor.key", wrong.key)
    daemon = make_daemon(options=(HOST, f"server.key_file={file}"), approves=False)
    daemon.start()
    process_id = colony.submit("echo fine")
    wait_for(lambda: "waiting for approval" in daemon.log(), "a refusal")

    file.write_text("no key")
    daemon.signal(signal.SIGHUP)
    wait_for(lambda: "the configuration is kept as it was" in daemon.log(), "the mistake in its log")
    file.write_text(right.key)
    daemon.signal(signal.SIGHUP)

    assert colony.wait(process_id).state is ProcessState.SUCCESS
    assert wrong.key not in daemon.log()
    assert right.key not in daemon.log()


@pytest.mark.parametrize("restarted", [False, True])
def test_a_job_that_runs_while_the_executors_key_is_changed_is_stopped_and_runs_once_more(
    colony: Colony, daemon: DaemonProgram, tmp_path: Path, *, restarted: bool
) -> None:
    trace, fresh = tmp_path / "trace", Identity.new()
    daemon.start()
    line = f"echo $$ >> {trace}; [ $(wc -l < {trace}) = 1 ] && sleep 100; echo done"
    process_id = colony.submit(line, maxexectime=8, maxretries=1)
    wait_for(trace.exists, "its first run")
    file = daemon.folder / "tester.key"
    old = Identity(file.read_text().strip())

    if restarted:
        daemon.kill()
    colony.call(change_id, colony, old, fresh)
    file.write_text(fresh.key)
    if restarted:
        daemon.start()
    else:
        daemon.signal(signal.SIGHUP)
        wait_for(lambda: fresh.id in daemon.log(), "the new key's id in its log")
    first = trace.read_text().split()[0]
    wait_for(lambda: not Path("/proc", first).exists(), "the end of its first run", 5.0)

    ended = colony.wait(process_id)
    assert (ended.state, ended.attempt) == (ProcessState.SUCCESS, 1)
    assert colony.output(process_id) == ["done"]
    assert colony.wait(colony.submit("true")).state is ProcessState.SUCCESS
    assert len(trace.read_text().split()) == 2


async def change_id(colony: Colony, old: Identity, new: Identity) -> None:
    fields = {"colonyname": colony.name, "executorid": new.id}
    await colony.client.as_(old)._ask(Call("changeexecutoridmsg", fields, nothing))


def test_a_store_that_refuses_our_keys_is_used_once_it_has_the_right_ones(
    colony: Colony, make_daemon: Make, tmp_path: Path
) -> None:
    file = write(tmp_path / "access", "expired")
    files: dict[str, Any] = {"mount": "/ce-cfs", "dirs": [{"label": "/out", "dir": "/out", "keepfiles": False}]}
    with locked_store("right") as store:
        daemon = make_daemon(options=(HOST, *store.options, f"cfs.access_key_file={file}"))
        daemon.start(AWS_S3_SECRETKEY="secret-of-the-store")
        refused = colony.submit("echo result > /ce-cfs/out/result", fs=files)
        assert colony.wait(refused).state is ProcessState.FAILED
        assert colony.verdict(refused)["failure"] == "staging_out"
        assert "403" in colony.log(refused)

        file.write_text("right")
        daemon.signal(signal.SIGHUP)
        wait_for(lambda: "configuration read again" in daemon.log(), "the new key")
        stored = colony.submit("echo result > /ce-cfs/out/result", fs=files)

        assert colony.wait(stored).state is ProcessState.SUCCESS, colony.log(stored)
    assert "secret-of-the-store" not in daemon.log() + colony.log(refused)
