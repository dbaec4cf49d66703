"""A store that is down, slow, full, or says no: each has its own words, no job is lost, and no result either."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import attrs
import pytest
from click.testing import CliRunner
from colonies import DaemonProgram
from files import Rig, names

from container_executor.cfs import CfsError, DiskError
from container_executor.cfs.errors import StoreDeniedError, StoreUnavailableError
from container_executor.cfs.mover import SMALL
from container_executor.cfs.store import Store
from container_executor.cfs.stores import folder_store, open_store
from container_executor.cli.program import program
from container_executor.client import ProcessState
from container_executor.settings import load

FULL = b"<Error><Code>XMinioStorageFull</Code><Message>Storage backend has reached its minimum free drive threshold</Message></Error>"


@attrs.define
class Answering:
    """An S3 server that gives one answer to everything, as late as it is told, until it is told another."""

    status: int = 200
    body: bytes = b""
    delay: float = 0.0
    port: int = 0
    calls: int = 0


@pytest.fixture
def answering() -> Iterator[Answering]:
    told = Answering()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            told.calls += 1
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            time.sleep(told.delay)
            self.send_response(told.status)
            self.send_header("Content-Length", str(len(told.body)))
            self.send_header("ETag", '"0"')
            self.end_headers()
            self.wfile.write(told.body)

        do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = answer  # noqa: N815 - the names that http.server calls

        def log_message(self, *_words: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        told.port = server.server_port
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield told
        server.shutdown()


def store_at(port: int) -> Store:
    """Return a store whose server listens at a port."""
    variables = {
        "COLONIES_COLONY_NAME": "dev",
        "AWS_S3_ENDPOINT": f"127.0.0.1:{port}",
        "AWS_S3_BUCKET": "bucket",
        "AWS_S3_ACCESSKEY": "key",
        "AWS_S3_SECRETKEY": "secret-of-the-store",
    }
    return open_store(load(environ=variables))


MakeRig = Callable[..., Rig]

sized = pytest.mark.parametrize("size", [1, SMALL + 1], ids=["small", "streamed"])
"""Runs a test with a file that is stored in one piece, and with one that is streamed."""


@sized
def test_a_store_that_refuses_says_so_and_leaves_no_record(make_rig: MakeRig, answering: Answering, size: int) -> None:
    answering.status, answering.body = 403, b"<Error><Code>AccessDenied</Code></Error>"
    rig = make_rig(store_at(answering.port))

    with pytest.raises(StoreDeniedError, match=r"refused us .*403.*check its keys") as caught:
        rig.sync(rig.place("here", {"f": b"f" * size, "g": "g"}))

    assert "secret-of-the-store" not in str(caught.value)
    assert rig.colony.call(rig.colony.client.files, "/data") == []


@sized
def test_a_store_with_a_fault_is_asked_again_and_then_named(make_rig: MakeRig, answering: Answering, size: int) -> None:
    answering.status = 500
    rig = make_rig(store_at(answering.port), patience=2.0)

    with pytest.raises(StoreUnavailableError, match=r"does not answer, or failed \(500"):
        rig.sync(rig.place("here", {"f": b"f" * size}))

    assert answering.calls > 2
    assert rig.colony.call(rig.colony.client.files, "/data") == []


@sized
def test_a_store_that_comes_back_is_used(make_rig: MakeRig, answering: Answering, size: int) -> None:
    answering.status = 500
    rig = make_rig(store_at(answering.port), patience=30.0)
    threading.Timer(2.0, lambda: setattr(answering, "status", 200)).start()

    rig.sync(rig.place("here", {"f": b"f" * size}))

    assert rig.revisions("/data", "f") == 1


@sized
def test_a_store_that_is_down_is_named(make_rig: MakeRig, size: int) -> None:
    rig = make_rig(store_at(9), patience=0.5)

    with pytest.raises(StoreUnavailableError, match=r"127\.0\.0\.1:9/bucket does not answer"):
        rig.sync(rig.place("here", {"f": b"f" * size}))


@sized
def test_a_full_store_is_a_full_disk(make_rig: MakeRig, answering: Answering, size: int) -> None:
    answering.status, answering.body = 507, FULL
    rig = make_rig(store_at(answering.port), patience=0.5)

    with pytest.raises(CfsError, match="is full") as caught:
        rig.sync(rig.place("here", {"f": b"f" * size}))

    assert caught.value.failure == "disk_full"


def test_a_store_that_wants_no_more_of_a_file_has_said_why(make_rig: MakeRig) -> None:
    refused = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    with socket.create_server(("127.0.0.1", 0)) as listening:
        rig = make_rig(store_at(listening.getsockname()[1]))
        answerer = threading.Thread(target=_answer_early, args=(listening, refused))
        answerer.start()

        with pytest.raises(StoreDeniedError, match="403"):
            rig.sync(rig.place("here", {"f": b"f" * (SMALL + 1)}))
        answerer.join()


def _answer_early(listening: socket.socket, words: bytes) -> None:
    """Answer one call before it was read."""
    connection, _ = listening.accept()
    with connection:
        connection.recv(2**16)
        connection.sendall(words)
        connection.shutdown(socket.SHUT_WR)
        # Closing with unread data would reset the connection, and the answer be lost (RFC 9112, 9.6).
        while connection.recv(2**16):
            pass


def test_a_slow_store_is_waited_for(make_rig: MakeRig, answering: Answering) -> None:
    answering.delay = 1.5
    rig = make_rig(store_at(answering.port))

    rig.sync(rig.place("here", {"f": "f"}))

    assert rig.revisions("/data", "f") == 1


@pytest.mark.parametrize("name", ["http_proxy", "all_proxy"])
def test_behind_a_proxy_no_connection_goes_around_it(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "http://proxy:3128")
    monkeypatch.setenv("no_proxy", "")
    assert not store_at(9).streams

    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert store_at(9).streams


def test_a_full_folder_store_is_a_full_disk(make_rig: MakeRig, small_disk: Callable[[int], Path]) -> None:
    rig = make_rig(folder_store(small_disk(2**20) / "objects"))

    with pytest.raises(DiskError, match="is full"):
        rig.sync(rig.place("here", {"f": b"x" * 2_000_000}))

    assert rig.colony.call(rig.colony.client.files, "/data") == []


def test_a_full_disk_leaves_no_partly_written_file(
    make_rig: MakeRig, tmp_path: Path, small_disk: Callable[[int], Path]
) -> None:
    rig = make_rig(folder_store(tmp_path / "objects"))
    rig.sync(rig.place("first", {"f": b"x" * 3_000_000, "small": "s"}))
    rig.folder = small_disk(2**20)

    with pytest.raises(DiskError, match="No space left on device; free space there") as caught:
        rig.sync(rig.place("here"))

    assert caught.value.failure == "disk_full"
    assert set(names(rig.folder / "here")) <= {"small"}


def test_a_disk_without_room_for_a_large_file_says_so_before_anything_of_it_comes(
    rig: Rig, small_disk: Callable[[int], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.sync(rig.place("first", {"f": b"x" * 3_000_000}))
    rig.folder = small_disk(2 * 2**20)
    reads, read = list[str](), Store.read

    def counting(store: Store, key: str, start: int = 0) -> Iterator[bytes | memoryview]:
        reads.append(key)
        return read(store, key, start)

    monkeypatch.setattr(Store, "read", counting)

    with pytest.raises(DiskError, match="No space left on device; free space there"):
        rig.sync(rig.place("here"))

    assert not reads
    assert not names(rig.folder / "here")


def _submit(rig: Rig, line: str) -> str:
    conflicts = {"onstart": {"keeplocal": False}, "onclose": {"keeplocal": True}}
    entry = {"label": "/d", "dir": "/d", "keepfiles": False, "onconflicts": conflicts}
    return rig.colony.submit(line, fs={"mount": "/ce-cfs", "dirs": [entry]}, maxexectime=60)


def _daemon(make_daemon: Callable[..., DaemonProgram], answering: Answering) -> DaemonProgram:
    options = ("backends.process.allow_host_execution=true", f"cfs.endpoint=127.0.0.1:{answering.port}", "cfs.bucket=b")
    daemon = make_daemon(options=options)
    daemon.start(AWS_S3_ACCESSKEY="key", AWS_S3_SECRETKEY="secret-of-the-store")
    return daemon


def test_results_that_cannot_be_stored_are_kept_and_named(
    make_rig: MakeRig, make_daemon: Callable[..., DaemonProgram], answering: Answering
) -> None:
    answering.status = 403
    rig = make_rig(store_at(answering.port))
    daemon = _daemon(make_daemon, answering)

    process = _submit(rig, "echo result > /ce-cfs/d/result; printenv; true")
    ended = rig.colony.wait(process)

    place = daemon.folder / "cfs" / "d"
    assert ended.state is ProcessState.FAILED
    assert "staging_out" in ended.errors[0]
    assert f"they are kept in {place}" in ended.errors[0]
    assert (place / "result").read_text() == "result\n"
    assert "secret-of-the-store" not in rig.colony.log(process) + daemon.log()
    answering.status = 200
    second = _submit(rig, "cat /ce-cfs/d/result")
    assert rig.colony.wait(second).state is ProcessState.SUCCESS
    assert rig.colony.output(second) == ["result"]
    assert rig.revisions("/d", "result") == 1


def test_an_operator_can_list_and_remove_what_was_stored_nowhere(
    make_rig: MakeRig, make_daemon: Callable[..., DaemonProgram], answering: Answering
) -> None:
    answering.status = 403
    rig = make_rig(store_at(answering.port))
    daemon = _daemon(make_daemon, answering)
    rig.colony.wait(_submit(rig, "mkdir /ce-cfs/d/sub; echo result > /ce-cfs/d/sub/result; ln -s /etc /ce-cfs/d/etc"))
    daemon.end()

    def remains(*options: str) -> Any:
        line = ["cfs", "remains", "--json", "--state-dir", str(daemon.folder), *options]
        return json.loads(CliRunner().invoke(program, line, prog_name="container-executor").stdout)

    listed = remains()
    removed = remains("--delete")

    assert [(item["path"], item["label"], item["files"]) for item in listed] == [(f"{daemon.folder}/cfs/d", "/d", 1)]
    assert removed == listed
    assert remains() == []
    assert names(daemon.folder / "cfs") == []
    assert Path("/etc/passwd").exists()


def test_inputs_that_cannot_be_fetched_fail_the_job_before_it_starts(
    make_rig: MakeRig, make_daemon: Callable[..., DaemonProgram], answering: Answering, tmp_path: Path
) -> None:
    rig = make_rig(store_at(answering.port))
    rig.record("/d", "f", b"content")
    answering.body = b"something else"
    _daemon(make_daemon, answering)

    ended = rig.colony.wait(_submit(rig, f"touch {tmp_path / 'ran'}"))

    assert "staging_in" in ended.errors[0]
    assert "is not what the record says" in ended.errors[0]
    assert not (tmp_path / "ran").exists()


def test_one_store_that_fails_does_not_disturb_jobs_without_files(
    make_rig: MakeRig, make_daemon: Callable[..., DaemonProgram], answering: Answering
) -> None:
    answering.delay = 20
    rig = make_rig(store_at(answering.port))
    _daemon(make_daemon, answering)

    stuck = _submit(rig, "echo x > /ce-cfs/d/x")
    others = [rig.colony.submit("echo", "fine") for _ in range(5)]

    assert all(rig.colony.wait(process).state is ProcessState.SUCCESS for process in others)
    rig.colony.call(rig.colony.client.cancel, stuck)


def test_a_site_without_a_store_refuses_files_in_words(rig: Rig, make_daemon: Callable[..., DaemonProgram]) -> None:
    make_daemon().start()

    ended = rig.colony.wait(_submit(rig, "true"))

    assert "invalid_spec" in ended.errors[0]
    assert "this executor has no file store" in ended.errors[0]
