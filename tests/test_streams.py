"""Log streams over HTTP."""

import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from container_executor.streams import BUFFER, Endpoint, Streams

PATIENCE = 20.0


class Engine(BaseHTTPRequestHandler):
    """An engine whose log grows when the test says so."""

    go_on: ClassVar[threading.Event]
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/missing":
            self.send_response(404)
            self.send_header("Content-Length", "7")
            self.end_headers()
            self.wfile.write(b"no such")
            return
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self._chunk(b"first\n" if self.path == "/slow" else b"x" * 10_000_000)
        if self.path == "/slow":
            self.go_on.wait(PATIENCE)
            self._chunk(b"second\n")
        if self.path == "/torn":
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.wfile.write(b"0\r\n\r\n")

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def log_message(self, *_arguments: object) -> None:
        pass


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    Engine.go_on = threading.Event()
    with ThreadingHTTPServer(("127.0.0.1", 0), Engine) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Endpoint(f"http://127.0.0.1:{server.server_address[1]}")
        Engine.go_on.set()
        server.shutdown()


@pytest.fixture
def streams() -> Iterator[Streams]:
    opened = Streams()
    yield opened
    opened.close_all()


def take_all(streams: Streams, key: str, *, until: bytes | None = None) -> bytes:
    data, deadline = b"", time.monotonic() + PATIENCE
    while not streams.ended(key) and (until is None or until not in data):
        assert time.monotonic() < deadline, f"only {len(data)} bytes came"
        data += streams.take(key, 50_000)
        time.sleep(0.001)
    return data


def test_what_has_arrived_can_be_taken_while_the_stream_goes_on(streams: Streams, endpoint: Endpoint) -> None:
    stream = streams.open("a", endpoint, "/slow")

    assert take_all(streams, "a", until=b"\n") == b"first\n"
    assert not stream.ended
    Engine.go_on.set()
    assert take_all(streams, "a") == b"second\n"
    assert (stream.status, stream.error) == (200, "")


def test_a_stream_that_nobody_takes_from_is_held_back_and_loses_nothing(streams: Streams, endpoint: Endpoint) -> None:
    stream = streams.open("a", endpoint, "/large")
    deadline = time.monotonic() + PATIENCE
    while stream.waiting < BUFFER:
        assert time.monotonic() < deadline
        time.sleep(0.01)

    assert stream.waiting < BUFFER + 1_000_000
    assert len(take_all(streams, "a")) == 10_000_000


def test_opening_a_key_twice_is_one_stream(streams: Streams, endpoint: Endpoint) -> None:
    assert streams.open("a", endpoint, "/slow") is streams.open("a", endpoint, "/slow")


def test_a_refusal_ends_the_stream_with_the_engines_words(streams: Streams, endpoint: Endpoint) -> None:
    stream = streams.open("a", endpoint, "/missing")

    assert take_all(streams, "a") == b""
    assert (stream.status, stream.error) == (404, "no such")


def test_a_connection_that_breaks_is_an_error_and_no_clean_end(streams: Streams, endpoint: Endpoint) -> None:
    stream = streams.open("a", endpoint, "/torn")

    assert 9_000_000 < len(take_all(streams, "a")) <= 10_000_000
    assert stream.error


def test_an_engine_that_is_not_there_is_an_error(streams: Streams) -> None:
    stream = streams.open("a", Endpoint("http://localhost", socket="/nonexistent.sock"), "/")

    assert take_all(streams, "a") == b""
    assert stream.ended
    assert stream.error


def test_news_of_a_stream_are_told_at_once(streams: Streams, endpoint: Endpoint) -> None:
    news = threading.Semaphore(0)
    streams.open("a", endpoint, "/slow", on_data=news.release)

    assert news.acquire(timeout=PATIENCE)
    Engine.go_on.set()
    assert news.acquire(timeout=PATIENCE)
