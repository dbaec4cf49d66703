"""Requests of threads over connections that are kept: whatever the server does, there is an answer as it was sent, or an error."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import attrs
import pytest
from relay import make_certificates

from container_executor.connections import (
    Asked,
    Connections,
    NotHttpError,
    Pieces,
    Reply,
    Request,
    connection,
    is_direct,
)

Talk = Callable[[socket.socket], None]
GET = Request("GET", "/path?query")
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody"


@attrs.define(eq=False)
class Served:
    """A server of one's own.

    Attributes:
        port: Where it listens.
        opened: How many connections it has taken.
        ended: Released each time that it has closed one.
    """

    port: int
    opened: int = 0
    ended: threading.Semaphore = attrs.field(factory=lambda: threading.Semaphore(0))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def serving(*talks: Talk, context: ssl.SSLContext | None = None) -> Iterator[Served]:
    """Serve one connection after the other, each by its talk; the last one serves all that follow."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        served = Served(listening.getsockname()[1])

        def talk(connection: socket.socket, how: Talk) -> None:
            with suppress(OSError), connection:
                if context is None:
                    how(connection)
                else:
                    with context.wrap_socket(connection, server_side=True) as secured:
                        how(secured)
            served.ended.release()

        def accept() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    how = talks[min(served.opened, len(talks) - 1)]
                    served.opened += 1
                    threading.Thread(target=talk, args=(connection, how), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield served


def request_of(connection: socket.socket) -> bytes:
    """Return the head of the next request, "" where there is none."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        if not byte:
            return b""
        head += byte
    return head


def answering(*answers: bytes, end: bool = False, step: int = 0) -> Talk:
    """Answer one request after the other, the last answer serving all that follow; with *end* only the first one."""

    def talk(connection: socket.socket) -> None:
        waiting = list(answers)
        while request_of(connection):
            answer = waiting.pop(0) if len(waiting) > 1 else waiting[0]
            size = step or max(1, len(answer))
            for start in range(0, len(answer), size):
                connection.sendall(answer[start : start + size])
            if end:
                return

    return talk


@pytest.fixture
def ask() -> Iterator[Callable[..., tuple[int, bytes | None]]]:
    """Ask a server; its connections are kept until the test ends."""
    kept: dict[str, Connections] = {}

    def asking(served: Served, request: Request = GET, **options: float) -> tuple[int, bytes | None]:
        there = kept.setdefault(served.url, Connections(served.url))
        with there.asking(request, **options) as reply:
            return reply.status, reply.read(2**20)

    yield asking
    for each in kept.values():
        each.close()


# --- answers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [0, 1, 7])
@pytest.mark.parametrize(
    ("answer", "end", "expected"),
    [
        pytest.param(OK, False, (200, b"body"), id="of known length"),
        pytest.param(b"HTTP/1.1 200 OK\r\ncontent-LENGTH: 0\r\n\r\n", False, (200, b""), id="empty"),
        pytest.param(b"HTTP/1.1 204 No Content\r\n\r\n", False, (204, b""), id="without a body"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nbo\r\n2;x=y\r\ndy\r\n0\r\nTrailer: t\r\n\r\n",
            False,
            (200, b"body"),
            id="in chunks",
        ),
        pytest.param(b"HTTP/1.1 404 Not Found\r\n\r\nbody", True, (404, b"body"), id="until the connection ends"),
        pytest.param(b"HTTP/1.0 200 OK\r\n\r\nbody", True, (200, b"body"), id="of an old server"),
        pytest.param(b"HTTP/1.1 100 Continue\r\nx: y\r\n\r\n" + OK, False, (200, b"body"), id="after an interim one"),
    ],
)
def test_an_answer_arrives_however_it_is_sent(
    ask: Callable[..., object], answer: bytes, *, end: bool, expected: tuple[int, bytes], step: int
) -> None:
    with serving(answering(answer, end=end, step=step)) as served:
        assert ask(served) == expected


def test_answers_that_are_read_later_are_those_of_their_requests() -> None:
    """Each request has a connection to itself."""

    def echo(connection: socket.socket) -> None:
        while head := request_of(connection):
            path = head.split()[1]
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(path), path))

    def read(one: Asked) -> bytes | None:
        with one.answer() as reply:
            return reply.read(100)

    with serving(echo) as served, closing(Connections(served.url)) as there:
        for _ in range(2):
            asked = [there.ask(Request("GET", f"/{number}")) for number in range(4)]
            asked.pop(1).forget()

            assert [read(one) for one in reversed(asked)] == [b"/3", b"/2", b"/0"]

    assert served.opened == 5, "a connection is used again unless its answer was forgotten"


@pytest.mark.parametrize("step", [0, 1])
def test_one_answer_after_the_other_is_read_as_it_is(ask: Callable[..., object], step: int) -> None:
    """What reads answers is kept with their connection."""
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"
    empty = b"HTTP/1.1 204 No Content\r\n\r\n"
    refused = b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno"

    with serving(answering(OK, chunked, empty, refused, chunked, OK, step=step)) as served:
        found = [ask(served) for _ in range(6)]

    assert found == [(200, b"body"), (200, b"ab"), (204, b""), (404, b"no"), (200, b"ab"), (200, b"body")]
    assert served.opened == 1


def test_a_large_answer_arrives_whole(ask: Callable[..., object]) -> None:
    body = bytes(range(256)) * 4_000
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)

    with serving(answering(head + body)) as served:
        assert ask(served) == (200, body)


def test_a_header_is_found_whatever_its_case() -> None:
    with (
        serving(answering(b"HTTP/1.1 200 OK\r\nDaTe: now\r\nContent-Length: 0\r\n\r\n")) as served,
        Connections(served.url).asking(GET) as reply,
    ):
        assert (reply.header("date"), reply.header("missing")) == ("now", "")


def test_an_answer_beyond_the_limit_is_none() -> None:
    with serving(answering(OK)) as served, Connections(served.url).asking(GET) as reply:
        assert reply.read(3) is None


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        pytest.param(b"", ConnectionError, "ended the connection", id="nothing"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Le", ConnectionError, "ended the connection", id="cut in the headers"
        ),
        pytest.param(OK[:-1], ConnectionError, "ended the connection", id="cut in the body"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbo",
            ConnectionError,
            "ended the connection",
            id="cut in a chunk",
        ),
        pytest.param(b"220 smtp.example.org ESMTP\r\n", NotHttpError, "is not HTTP", id="another protocol"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nbodyx",
            NotHttpError,
            "is not HTTP",
            id="two lengths",
        ),
        pytest.param(b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 20_000, NotHttpError, "more headers", id="endless headers"),
    ],
)
def test_an_answer_that_is_none_is_an_error(
    ask: Callable[..., object], answer: bytes, error: type[Exception], words: str
) -> None:
    with serving(answering(answer, end=True)) as served, pytest.raises(error, match=words):
        ask(served)


# --- time -------------------------------------------------------------------------------------------------------------


def test_a_server_that_is_silent_is_not_waited_for_beyond_the_time(ask: Callable[..., object]) -> None:
    done = threading.Event()

    def silent(_connection: socket.socket) -> None:
        done.wait(30)

    with serving(silent) as served, pytest.raises(TimeoutError):
        try:
            ask(served, within=0.2)
        finally:
            done.set()


def test_an_answer_that_drips_is_not_waited_for_beyond_the_time(ask: Callable[..., object]) -> None:
    def drip(connection: socket.socket) -> None:
        request_of(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while True:
            connection.sendall(b"x")
            time.sleep(0.01)

    with serving(drip) as served, pytest.raises(TimeoutError):
        ask(served, within=0.3)


# --- requests ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 4, 2**16, 2**16 + 1, 3_000_000])
@pytest.mark.parametrize("pieces", [False, True])
def test_a_request_arrives_as_it_is(ask: Callable[..., tuple[int, bytes]], size: int, *, pieces: bool) -> None:
    body = (b"0123456789abcdef" * (size // 16 + 1))[:size]
    arrived = bytearray()

    def take(connection: socket.socket) -> None:
        head = request_of(connection)
        left = size
        while left and (data := connection.recv(min(left, 65_536))):
            arrived.extend(data)
            left -= len(data)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(head), head))

    view = memoryview(body)
    streamed = Pieces(size, (view[start : start + 1000] for start in range(0, size, 1000)))

    with serving(take) as served:
        status, head = ask(served, Request("PUT", "/a%20b?x=y", {"X-Own": "1"}, streamed if pieces else body))

        assert (status, bytes(arrived)) == (200, body)
        assert head.split(b"\r\n") == [
            b"PUT /a%20b?x=y HTTP/1.1",
            f"Host: 127.0.0.1:{served.port}".encode(),
            f"Content-Length: {size}".encode(),
            b"X-Own: 1",
            b"",
            b"",
        ]


def test_an_error_among_the_pieces_of_a_body_is_raised_and_the_server_never_has_a_whole_request() -> None:
    ended = threading.Event()

    def take(connection: socket.socket) -> None:
        while connection.recv(65_536):
            pass
        ended.set()

    def pieces() -> Iterator[memoryview]:
        yield memoryview(b"half")
        raise ValueError("no more")

    with serving(take) as served:
        with (
            pytest.raises(ValueError, match="no more"),
            Connections(served.url).asking(Request("PUT", "/", body=Pieces(8, pieces()))),
        ):
            pass
        assert ended.wait(10)


def _early(answer: bytes) -> Talk:
    """Answer before the body has come, and end the connection, which resets it."""

    def talk(connection: socket.socket) -> None:
        request_of(connection)
        connection.sendall(answer)
        connection.shutdown(socket.SHUT_WR)

    return talk


def test_a_refusal_that_comes_before_the_body_has_been_sent_is_the_answer(ask: Callable[..., object]) -> None:
    refusal = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno"

    with serving(_early(refusal)) as served:
        assert ask(served, Request("PUT", "/", body=bytes(50_000_000))) == (403, b"no")


@pytest.mark.parametrize("answer", [b"", OK], ids=["nothing", "a good answer"])
def test_a_server_that_takes_only_a_part_of_a_body_has_not_taken_it(ask: Callable[..., object], answer: bytes) -> None:
    with serving(_early(answer)) as served, pytest.raises(ConnectionError):
        ask(served, Request("PUT", "/", body=bytes(50_000_000)))


# --- connections ------------------------------------------------------------------------------------------------------


def test_a_connection_serves_one_request_after_the_other(ask: Callable[..., object]) -> None:
    with serving(answering(OK)) as served:
        for _ in range(5):
            assert ask(served) == (200, b"body")

        assert served.opened == 1


@pytest.mark.parametrize(
    ("answer", "end"),
    [
        pytest.param(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), True, id="it says that it ends"),
        pytest.param(OK, True, id="it ends without a word"),
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\nbody", True, id="its end is that of the answer"),
        pytest.param(
            OK + b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong", False, id="more came than was asked for"
        ),
    ],
)
def test_a_connection_that_cannot_be_used_again_is_not(ask: Callable[..., object], answer: bytes, *, end: bool) -> None:
    with serving(answering(answer, end=end)) as served:
        for number in range(1, 4):
            assert ask(served) == (200, b"body")
            assert served.opened == number
            assert not end or served.ended.acquire(timeout=10)


def test_a_connection_whose_answer_was_not_read_is_not_used_again() -> None:
    with serving(answering(OK[:-1])) as served, closing(Connections(served.url)) as there:
        for number in (1, 2):
            with there.asking(GET) as reply:
                assert reply.status == 200
            assert served.opened == number


def test_a_connection_that_was_idle_for_long_is_not_used_again(
    ask: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(answering(OK)) as served:
        ask(served)
        monkeypatch.setattr(connection, "IDLE", 0.0)
        ask(served)

        assert served.opened == 2


def test_threads_get_each_its_own_answer() -> None:
    def echo(connection: socket.socket) -> None:
        while head := request_of(connection):
            target = head.split()[1]
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(target), target))

    with serving(echo) as served, closing(Connections(served.url)) as there:

        def work(number: int) -> bytes | None:
            with there.asking(Request("GET", f"/{number}")) as reply:
                return reply.read(100)

        with ThreadPoolExecutor(10) as pool:
            assert list(pool.map(work, range(500))) == [f"/{number}".encode() for number in range(500)]
        assert served.opened <= 10


def test_closing_ends_idle_connections_at_once_and_the_others_after_their_answer() -> None:
    ended = threading.Semaphore(0)

    def talk(connection: socket.socket) -> None:
        answering(OK)(connection)
        ended.release()

    def answer(reply: Reply) -> bytes | None:
        return reply.read(100)

    with serving(talk) as served:
        there = Connections(served.url)
        with there.asking(GET) as first, there.asking(GET) as second:
            assert answer(first) == answer(second) == b"body"
        assert not ended.acquire(timeout=0.1)
        with there.asking(GET) as used:
            there.close()
            assert ended.acquire(timeout=10)
            assert answer(used) == b"body"
        assert ended.acquire(timeout=10)


# --- TLS, proxies -----------------------------------------------------------------------------------------------------


@pytest.fixture
def secured(tmp_path: Path) -> Iterator[Served]:
    folder = make_certificates(tmp_path / "tls")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    with serving(answering(OK), context=context) as served:
        yield served


def test_a_certificate_that_nobody_vouches_for_is_refused_unless_it_need_not_be(secured: Served) -> None:
    url = f"https://127.0.0.1:{secured.port}"

    with pytest.raises(ssl.SSLCertVerificationError), Connections(url).asking(GET):
        pass
    with Connections(url, verify=False).asking(GET) as reply:
        assert reply.read(100) == b"body"


def test_a_certificate_that_the_site_trusts_is_taken_and_its_connection_kept(
    secured: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "tls" / "ca.pem"))

    with closing(Connections(f"https://127.0.0.1:{secured.port}")) as there:
        for _ in range(3):
            with there.asking(GET) as reply:
                assert reply.read(100) == b"body"

    assert secured.opened <= 2  # what TLS 1.3 sends after the first answer may look like an end


def test_a_server_without_tls_is_an_error_of_tls() -> None:
    def plain(connection: socket.socket) -> None:
        connection.recv(1)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with (
        serving(plain) as served,
        pytest.raises((ssl.SSLError, ConnectionError)),
        Connections(served.url.replace("http", "https")).asking(GET, within=5),
    ):
        pass


@pytest.mark.parametrize(
    ("variables", "direct"),
    [
        ({}, True),
        ({"http_proxy": "http://proxy:3128"}, False),
        ({"HTTPS_PROXY": "http://proxy:3128"}, True),
        ({"all_proxy": "http://proxy:3128"}, False),
        ({"http_proxy": "http://proxy:3128", "no_proxy": "store"}, True),
    ],
)
def test_a_proxy_is_found_in_the_environment(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], *, direct: bool
) -> None:
    for name in (
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "no_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "NO_PROXY",
    ):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert is_direct("http", "store") is direct
