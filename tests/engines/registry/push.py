"""Pushing an image over a registry's HTTP interface, so that the registry needs no other engine.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md
"""

import base64
import gzip
import http.client
import json

from common.images import Image, digest
from common.report import EngineError

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIGURATION = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


def answers(address: str) -> bool:
    """Tell whether a registry is at *address*: it says so also to those without a login."""
    try:
        return _call(address, "GET", "/v2/").status in {200, 401}
    except (OSError, http.client.HTTPException):
        return False


def push(address: str, repository: str, tag: str, image: Image, login: tuple[str, str] | None = None) -> str:
    """Push *image* to the registry at *address* and return the digest of its manifest: the same for the same image."""
    headers = {"Authorization": "Basic " + base64.b64encode(":".join(login).encode()).decode()} if login else {}
    parts = [(CONFIGURATION, image.configuration()), (LAYER, gzip.compress(image.layer, mtime=0))]
    for _, content in parts:
        _blob(address, repository, content, headers)
    config, layer = ({"mediaType": kind, "size": len(content), "digest": digest(content)} for kind, content in parts)
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]}
    content = json.dumps(manifest, sort_keys=True).encode()
    _call(address, "PUT", f"/v2/{repository}/manifests/{tag}", content, headers | {"Content-Type": MANIFEST}, expect=201)
    return digest(content)


def _blob(address: str, repository: str, content: bytes, headers: dict[str, str]) -> None:
    """Upload *content* unless the registry has it."""
    if _call(address, "HEAD", f"/v2/{repository}/blobs/{digest(content)}", b"", headers).status == 200:
        return
    place = _call(address, "POST", f"/v2/{repository}/blobs/uploads/", b"", headers, expect=202).headers["Location"]
    path = place.removeprefix(f"http://{address}")
    octets = headers | {"Content-Type": "application/octet-stream"}
    _call(address, "PUT", f"{path}{'&' if '?' in path else '?'}digest={digest(content)}", content, octets, expect=201)


def _call(
    address: str, method: str, path: str, content: bytes = b"", headers: dict[str, str] | None = None, *, expect: int | None = None
) -> http.client.HTTPResponse:
    """Send one request and return its answer, read to the end.

    Raises:
        EngineError: its status is not what *expect* says.
    """
    connection = http.client.HTTPConnection(address, timeout=30)
    connection.request(method, path, content, headers or {})
    response = connection.getresponse()
    said = response.read()
    connection.close()
    if expect is not None and response.status != expect:
        raise EngineError(f"{method} http://{address}{path} answered {response.status} instead of {expect}: {said[:300]!r}")
    return response
