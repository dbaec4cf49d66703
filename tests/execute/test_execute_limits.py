"""The site's limits are for new processes: what was launched under others goes on to its end."""

from collections.abc import Callable
from pathlib import Path

from colonies import Colony, DaemonProgram, wait_for

from container_executor.client import ProcessState

HOST = "backends.process.allow_host_execution=true"


def test_a_job_with_directories_outlives_a_restart_with_narrower_limits(
    colony: Colony, make_daemon: Callable[..., DaemonProgram], tmp_path: Path
) -> None:
    go, begun = tmp_path / "go", tmp_path / "begun"
    store = (HOST, "cfs.store=folder", f"cfs.folder={tmp_path / 'objects'}")
    daemon = make_daemon(options=store)
    daemon.start()
    fs = {"mount": "/ce-cfs", "dirs": [{"label": "/out", "dir": "/out"}]}
    command = f"touch {begun}; until [ -e {go} ]; do sleep 0.1; done; echo result > /ce-cfs/out/result"
    process_id = colony.submit(command, fs=fs)
    wait_for(begun.exists, "its start")
    daemon.kill()

    daemon.options = (*store, "limits.args_bytes=10")
    daemon.start()
    refused = colony.submit(command, fs=fs)
    assert colony.wait(refused).state is ProcessState.FAILED
    go.touch()

    assert colony.wait(process_id).state is ProcessState.SUCCESS
    assert [file.name for file in colony.call(colony.client.files, "/out")] == ["result"]
