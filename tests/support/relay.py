"""A Unix socket offered on a TCP port of loopback, with TLS if asked: how an engine looks from another machine."""

import contextlib
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def relay(path: str, tls: Path | None = None) -> Iterator[str]:
    """Yield ``HOST:PORT`` of the socket at *path*; *tls* is a directory that :func:`make_certificates` filled."""
    server = socket.create_server(("127.0.0.1", 0))
    context = None if tls is None else _server_context(tls)
    accepting = threading.Thread(target=_accept, args=(server, path, context), daemon=True)
    accepting.start()
    try:
        yield f"127.0.0.1:{server.getsockname()[1]}"
    finally:
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
        server.close()
        accepting.join(10)


def make_certificates(folder: Path) -> Path:
    """Make an authority, and one certificate that it signed for both sides, as Docker's clients expect them."""
    folder.mkdir()
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    _openssl(folder, "req", "-x509", *curve, "-subj", "/CN=authority", "-keyout", "ca-key.pem", "-out", "ca.pem")
    _openssl(folder, "req", *curve[:-2], "-subj", "/CN=127.0.0.1", "-keyout", "key.pem", "-out", "request.pem")
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    signing = ["-CA", "ca.pem", "-CAkey", "ca-key.pem", "-CAcreateserial", "-days", "2", "-extfile", "names"]
    _openssl(folder, "x509", "-req", "-in", "request.pem", "-out", "cert.pem", *signing)
    return folder


def _openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def _server_context(tls: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(tls / "ca.pem"))
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(tls / "cert.pem", tls / "key.pem")
    return context


def _accept(server: socket.socket, path: str, context: ssl.SSLContext | None) -> None:
    while True:
        try:
            caller, _ = server.accept()
        except OSError:
            return
        threading.Thread(target=_serve, args=(caller, path, context), daemon=True).start()


def _serve(caller: socket.socket, path: str, context: ssl.SSLContext | None) -> None:
    with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
        stack.enter_context(caller)
        near = stack.enter_context(context.wrap_socket(caller, server_side=True)) if context else caller
        far = stack.enter_context(socket.socket(socket.AF_UNIX))
        far.connect(path)
        back = threading.Thread(target=_copy, args=(far, near), daemon=True)
        back.start()
        _copy(near, far)
        back.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
    for end in (source, target):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
