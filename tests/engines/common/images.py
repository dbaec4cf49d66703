"""Container images made from Debian's static busybox alone: layers, configurations, and the tar file that engines load."""

import hashlib
import io
import json
import subprocess
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

BUSYBOX = Path("/bin/busybox")
SHELLS = {"sh", "ash", "hush", "bash"}
FOLDERS = ("bin", "dev", "etc", "home", "mnt", "opt", "proc", "root", "run", "srv", "sys", "tmp", "usr", "var", "var/tmp")
LINKS = {"sbin": "bin", "usr/bin": "../bin", "usr/sbin": "../bin"}
FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
    "etc/group": "root:x:0:\nnogroup:x:65534:\n",
}
PATH = "PATH=/usr/sbin:/usr/bin:/sbin:/bin"
IDLE = 'trap "exit 0" TERM INT; while :; do sleep 3600 & wait $!; done'


@dataclass(frozen=True)
class Image:
    """One image of one layer under its tags; *settings* is the `config` part of its configuration."""

    tags: Sequence[str]
    layer: bytes
    settings: dict[str, Any] = field(default_factory=dict)

    def configuration(self) -> bytes:
        """Return the image configuration (https://github.com/opencontainers/image-spec/blob/main/config.md)."""
        document = {
            "architecture": "amd64",
            "os": "linux",
            "created": "2024-01-01T00:00:00Z",
            "config": {"Env": [PATH], "Cmd": ["sh"]} | self.settings,
            "rootfs": {"type": "layers", "diff_ids": [digest(self.layer)]},
            "history": [{"created": "2024-01-01T00:00:00Z", "created_by": "busybox-static"}],
        }
        return json.dumps(document, sort_keys=True).encode()


def digest(content: bytes) -> str:
    """Return the digest of *content* as registries write it."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def standard() -> list[Image]:
    """Return the images that every engine has: with a shell under two tags, without one, and one with an entrypoint.

    The entrypoint shows itself: whoever runs it instead of replacing it gets its words and exit code 99.
    """
    shell = layer(without=frozenset())
    entrypoint = {
        "Entrypoint": ["/bin/sh", "-c", "echo the entrypoint ran; exit 99"],
        "Env": [PATH, "FROM_IMAGE=yes"],
        "WorkingDir": "/srv",
    }
    return [
        Image(["busybox:latest", "busybox:stable"], shell),
        Image(["noshell:latest"], layer(without=frozenset(SHELLS)), {"Cmd": ["true"]}),
        Image(["entrypoint:latest"], shell, entrypoint),
    ]


def pause() -> Image:
    """Return the image that holds a pod's namespaces: it does nothing and leaves on TERM."""
    return Image(["pause:latest"], layer(without=frozenset()), {"Entrypoint": ["/bin/sh", "-c", IDLE], "Cmd": None})


def layer(*, without: frozenset[str]) -> bytes:
    """Return a root file system with busybox and a link for each of its applets, but those *without*: equal for equal busyboxes."""
    applets = subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True).stdout.split()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name in FOLDERS:
            _add(tar, name, tarfile.DIRTYPE, mode=0o1777 if name.endswith("tmp") else 0o755)
        for name, target in LINKS.items():
            _add(tar, name, tarfile.SYMTYPE, target=target)
        for name, text in FILES.items():
            _add(tar, name, tarfile.REGTYPE, content=text.encode(), mode=0o644)
        _add(tar, "bin/busybox", tarfile.REGTYPE, content=BUSYBOX.read_bytes())
        for name in sorted({*applets} - {"busybox"} - without):
            _add(tar, f"bin/{name}", tarfile.SYMTYPE, target="busybox")
    return buffer.getvalue()


def _add(tar: tarfile.TarFile, name: str, kind: bytes, *, content: bytes = b"", target: str = "", mode: int = 0o755) -> None:
    """Add one entry owned by root, of the same date always."""
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname, entry.size, entry.mode = kind, target, len(content), mode
    tar.addfile(entry, io.BytesIO(content))


def archive(images: Sequence[Image], path: Path) -> Path:
    """Write *images* as the tar file that `docker load` and `ctr images import` take, and return its path."""
    files = {f"{digest(image.layer)[7:]}/layer.tar": image.layer for image in images}
    manifest = []
    for image in images:
        name = f"{digest(image.configuration())[7:]}.json"
        files[name] = image.configuration()
        manifest.append({"Config": name, "RepoTags": [*image.tags], "Layers": [f"{digest(image.layer)[7:]}/layer.tar"]})
    files["manifest.json"] = json.dumps(manifest).encode()
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            _add(tar, name, tarfile.REGTYPE, content=content, mode=0o644)
    return path
