"""An S3 server that lets nobody in but one access key, and takes everything from that one without keeping it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

import attrs

DENIED = b"<Error><Code>AccessDenied</Code><Message>Access Denied.</Message></Error>"


@attrs.define
class LockedStore:
    """Where it listens, and the access key that it lets in."""

    port: int
    key: str

    @property
    def options(self) -> tuple[str, ...]:
        """The settings that lead a daemon to it."""
        return (f"cfs.endpoint=127.0.0.1:{self.port}", "cfs.bucket=bucket", "cfs.region=us-east-1")


@contextmanager
def locked_store(key: str) -> Iterator[LockedStore]:
    """Serve in a thread."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            # The key is in a header, or in a signed address (Amazon S3 API reference, "Authenticating Requests").
            allowed = f"Credential={key}/" in self.headers.get("Authorization", "") + unquote(self.path)
            body = b"" if allowed else DENIED
            self.send_response(200 if allowed else 403)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("ETag", '"0"')
            self.end_headers()
            self.wfile.write(b"" if self.command == "HEAD" else body)

        do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = answer  # noqa: N815 - the names that http.server calls

        def log_message(self, *_words: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield LockedStore(server.server_port, key)
        server.shutdown()
