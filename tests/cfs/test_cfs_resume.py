"""A synchronisation that is killed, or whose connections are reset, loses nothing, and does nothing twice."""

import signal
import socket
import subprocess
from collections.abc import Callable
from itertools import count
from pathlib import Path

from colonies import DaemonProgram, wait_for
from files import Rig, cut_short, ended, names, s3_settings
from resetting import Resetting

from container_executor.cfs.names import MARKER
from container_executor.cfs.stores import open_store
from container_executor.client import ProcessState
from container_executor.testing.engines import require_engine

FILES = 400


def test_connections_that_are_reset_lose_nothing(
    make_rig: Callable[..., Rig], resetting: Resetting, bucket: str
) -> None:
    rig = make_rig(open_store(s3_settings(bucket, AWS_S3_ENDPOINT=f"127.0.0.1:{resetting.port}")), patience=30.0)
    files = {f"d{n % 7}/f{n}": f"content {n}" * 50 for n in range(100)}
    first, second = rig.place("first", files), rig.place("second")

    rig.sync(first)
    rig.sync(second)

    assert resetting.resets
    assert {str(path.relative_to(second)): path.read_text() for path in second.rglob("*") if path.is_file()} == files
    assert all(rig.revisions(f"/data/d{n % 7}", f"f{n}") == 1 for n in range(100))


def test_an_upload_that_is_killed_at_half_goes_on_where_it_was(
    command: Callable[..., "subprocess.Popen[bytes]"], rig: Rig
) -> None:
    numbers = count()

    def stored() -> int:
        return len(rig.colony.call(rig.colony.client.files, "/data"))

    def killed_at_half() -> tuple[Path, int] | None:
        prefix, before = f"{next(numbers)}-", stored()
        place = rig.place(f"{prefix}here", {f"{prefix}{n:03}": f"content {n}" for n in range(FILES)})
        cut_short(command(place), signal.SIGKILL, lambda: stored() >= before + FILES // 2)
        missing = len(rig.plan(place).to_upload)
        return (place, missing) if missing else None

    place, missing = wait_for(killed_at_half, "a kill before all is stored")
    words = ended(command(place))

    assert f"done: upload {missing}, " in words
    assert missing <= FILES // 2
    assert stored() == FILES * next(numbers)
    assert all(rig.revisions("/data", name) == 1 for name in names(place) if name != MARKER)


def test_a_download_that_is_killed_at_half_leaves_whole_files_only_and_goes_on(
    command: Callable[..., "subprocess.Popen[bytes]"], rig: Rig
) -> None:
    files: dict[str, str | bytes] = {f"f{n:03}": f"content {n}" * 5_000 for n in range(FILES)}
    numbers = count()
    rig.sync(rig.place("first", files))

    def killed_at_half() -> Path | None:
        place = rig.place(f"here-{next(numbers)}")
        cut_short(command(place), signal.SIGKILL, lambda: len(names(place)) >= FILES // 2)
        return None if MARKER in names(place) else place

    place = wait_for(killed_at_half, "a kill before all is there")
    whole = [name for name in names(place) if not name.startswith(".ce-partial-")]
    assert all((place / name).read_text() == files[name] for name in whole)
    ended(command(place))

    assert all((place / name).read_text() == content for name, content in files.items())
    assert set(names(place)) == {*files, MARKER}
    assert rig.plan(place).empty


def test_results_that_are_not_stored_when_the_lease_ends_are_kept(
    make_rig: Callable[..., Rig], make_daemon: Callable[..., DaemonProgram], resetting: Resetting, bucket: str
) -> None:
    """The store takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        lines = require_engine("minio")
        rig = make_rig(open_store(s3_settings(bucket)))
        endpoint = f"127.0.0.1:{silent.getsockname()[1]}"
        daemon = make_daemon(
            options=("backends.process.allow_host_execution=true", f"cfs.endpoint={endpoint}", f"cfs.bucket={bucket}")
        )
        daemon.start(AWS_S3_ACCESSKEY=lines["CE_S3_ACCESSKEY"], AWS_S3_SECRETKEY=lines["CE_S3_SECRETKEY"])
        entry = {"label": "/late", "dir": "/late", "onconflicts": {"onclose": {"keeplocal": True}}}
        process = rig.colony.submit(
            "echo result > /ce-cfs/late/result", fs={"mount": "/ce-cfs", "dirs": [entry]}, maxexectime=10
        )

        ended = rig.colony.wait(process)

    assert "staging_out" in ended.errors[0]
    assert "the lease ended before all was stored" in ended.errors[0]
    assert (daemon.folder / "cfs" / "late" / "result").read_text() == "result\n"


def test_many_processes_whose_files_do_not_come_hold_up_no_other(
    make_rig: Callable[..., Rig], make_daemon: Callable[..., DaemonProgram], bucket: str
) -> None:
    """The store takes connections and says nothing; the last process needs nothing of it."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        lines = require_engine("minio")
        rig = make_rig(open_store(s3_settings(bucket)))
        rig.record("/stuck", "f", b"content")
        endpoint = f"127.0.0.1:{silent.getsockname()[1]}"
        daemon = make_daemon(
            options=("backends.process.allow_host_execution=true", f"cfs.endpoint={endpoint}", f"cfs.bucket={bucket}")
        )
        daemon.start(AWS_S3_ACCESSKEY=lines["CE_S3_ACCESSKEY"], AWS_S3_SECRETKEY=lines["CE_S3_SECRETKEY"])

        def submitted(number: int, label: str) -> str:
            entry = {"label": label, "dir": f"/{number}"}
            return rig.colony.submit("true", fs={"mount": "/ce-cfs", "dirs": [entry]}, maxexectime=60)

        stuck = [submitted(number, "/stuck") for number in range(20)]
        wait_for(lambda: all((daemon.folder / "cfs" / str(number)).exists() for number in range(20)), "all to begin")

        assert rig.colony.wait(submitted(20, "/free")).state is ProcessState.SUCCESS
        assert all(rig.colony.process(process).state is ProcessState.RUNNING for process in stuck)
