"""What the tests of the docker backend share: the types of their fixtures, and a registry that can misbehave."""

import gzip
import hashlib
import http.client
import io
import json
import secrets
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from container_executor_docker import DockerBackend

from container_executor.errors import UnavailableError
from container_executor.models import Handle, JobSpec, JobStatus
from container_executor.testing.bench import wait_for

MakeBackend = Callable[..., DockerBackend]
MakeJob = Callable[..., JobSpec]
Spare = Callable[[str], str]

PATIENCE = timedelta(seconds=60)
EAT = "dd if=/dev/zero of=/dev/null bs=200000000 count=1"
"""A shell line that takes 200 MB of memory."""
OWNERS: set[str] = set()
"""Everyone in whose name a test of this run used the engine."""


def guards(owner: str) -> list[int]:
    """Return the pids of the guards of *owner*."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            words = (place / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if owner.encode() in words and any(word.endswith(b"/guard.py") for word in words) and b"-c" not in words:
            found.append(int(place.name))
    return found


def ended(backend: DockerBackend, handle: Handle) -> JobStatus:
    """Wait for the end of a job, also while the engine is away, and return its state."""

    def look() -> JobStatus | None:
        try:
            status = backend.status([handle]).get(handle.job_id)
        except UnavailableError:
            return None
        return status if status is not None and status.state.ended else None

    return wait_for(look, PATIENCE, f"the end of {handle.job_id}")


BUSYBOX, FRESH = "public/busybox", "fresh/image"
_KIND = "application/vnd.docker."
_MANIFEST = f"{_KIND}distribution.manifest.v2+json"


class Registry:
    """Passes requests on to a real registry, on loopback, which engines speak plain HTTP to; and has an image of its own.

    Attributes:
        address: Host and port.
        busybox: The image of the real registry.
        fresh: An image that no engine has seen before; it cannot run.
        digest: Its digest.
        asked: Methods and paths of all requests, in order.
        status: Answered instead to every request whose path holds the key.
        held: Requests whose path holds the key wait for the event.
        cut: Blobs end after so many bytes, with the connection; None for never.
    """

    def __init__(self, upstream: str, address: str) -> None:
        self.upstream, self.address = upstream, address
        self.busybox, self.fresh = (f"{address}/{name}:latest" for name in (BUSYBOX, FRESH))
        self.own, self.digest = _image()
        self.asked: list[tuple[str, str]] = []
        self.status: dict[str, int] = {}
        self.held: dict[str, threading.Event] = {}
        self.cut: int | None = None

    def blobs(self) -> list[str]:
        """Return the paths of the blobs that were fetched."""
        return [path for method, path in self.asked if method == "GET" and "/blobs/" in path]

    @classmethod
    @contextmanager
    def before(cls, upstream: str) -> "Iterator[Registry]":
        """Serve until the end of the block."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        registry = cls(upstream, f"127.0.0.1:{server.server_port}")
        server.registry = registry  # type: ignore[attr-defined]  # how a handler finds it
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield registry
        finally:
            for event in registry.held.values():
                event.set()
            server.shutdown()
            thread.join()
            server.server_close()


def _image() -> tuple[dict[str, tuple[str, bytes]], str]:
    """Return a new image as what a registry serves, by tag and digest, and the digest of its manifest."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        entry = tarfile.TarInfo("random")
        entry.size = 2**21
        tar.addfile(entry, io.BytesIO(secrets.token_bytes(entry.size)))
    rootfs = {"type": "layers", "diff_ids": [_digest(layer.getvalue())]}
    config = json.dumps({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": rootfs}).encode()
    blobs = [(f"{_KIND}container.image.v1+json", config)]
    blobs.append((f"{_KIND}image.rootfs.diff.tar.gzip", gzip.compress(layer.getvalue(), 1)))
    described = [{"mediaType": kind, "size": len(content), "digest": _digest(content)} for kind, content in blobs]
    fields = {"schemaVersion": 2, "mediaType": _MANIFEST, "config": described[0], "layers": described[1:]}
    manifest = (_MANIFEST, json.dumps(fields).encode())
    digest = _digest(manifest[1])
    return {"latest": manifest, digest: manifest, **{_digest(blob[1]): blob for blob in blobs}}, digest


def _digest(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    default_request_version = protocol_version  # of a TLS greeting, so that an engine learns that this is plain HTTP

    def do_GET(self) -> None:
        registry: Registry = self.server.registry  # type: ignore[attr-defined]
        registry.asked.append((self.command, self.path))
        for part, event in list(registry.held.items()):
            if part in self.path:
                event.wait(60)
        own = registry.own.get(self.path.rpartition("/")[2]) if f"/{FRESH}/" in self.path else None
        status = next((code for part, code in registry.status.items() if part in self.path), None)
        if status is not None:
            self._send(status, {}, b'{"errors":[]}')
        elif own is not None:
            self._send(200, {"Content-Type": own[0]}, self._cut(registry, own[1]))
        else:
            self._pass_on(registry)

    do_HEAD = do_GET  # noqa: N815 - the base class calls it so

    def _pass_on(self, registry: Registry) -> None:
        connection = http.client.HTTPConnection(registry.upstream, timeout=30)
        kept = {
            name: value for name, value in self.headers.items() if name.lower() in ("accept", "range", "authorization")
        }
        connection.request(self.command, self.path, headers=kept)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        names = ("content-type", "docker-content-digest", "docker-distribution-api-version", "content-length")
        headers = {name: value for name, value in answer.getheaders() if name.lower() in names}
        self._send(answer.status, headers, self._cut(registry, content))

    def _cut(self, registry: Registry, content: bytes) -> bytes:
        """Return what is sent of a blob."""
        if registry.cut is None or "/blobs/" not in self.path:
            return content
        self.close_connection = True
        return content[: registry.cut]

    def _send(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name in the base class
        pass
