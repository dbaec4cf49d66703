"""Write the rig's test images as docker archives, from one static busybox: ``image.py BUSYBOX FOLDER``.

``busybox.tar`` (busybox:latest) has one link per applet and some environment of its own; ``nosh.tar`` (nosh:latest) has only ``/bin/true``.
"""

import hashlib
import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path

FOLDERS = {"bin": 0o755, "etc": 0o755, "tmp": 0o1777, "root": 0o700, "proc": 0o755, "sys": 0o755, "dev": 0o755}


def applets(busybox: Path) -> list[str]:
    listing = subprocess.run([busybox, "--list"], check=True, capture_output=True, text=True)
    return [name for name in listing.stdout.split() if name != "busybox"]


def layer(program: tuple[str, bytes], links: list[str]) -> bytes:
    """Return a root folder with one static program and links to it, as an uncompressed tar."""
    name, content = program
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for folder, mode in FOLDERS.items():
            tar.addfile(_entry(folder, tarfile.DIRTYPE, mode))
        _add_file(tar, "etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n", 0o644)
        _add_file(tar, f"bin/{name}", content, 0o755)
        for link in links:
            entry = _entry(f"bin/{link}", tarfile.SYMTYPE, 0o777)
            entry.linkname = name
            tar.addfile(entry)
    return buffer.getvalue()


def archive(tag: str, content: bytes) -> bytes:
    """Return a docker archive of one image with one layer."""
    digest = hashlib.sha256(content).hexdigest()
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Env": ["PATH=/bin", "FROM_IMAGE=yes"], "Cmd": ["sh"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
    }
    encoded = json.dumps(config).encode()
    config_name = f"{hashlib.sha256(encoded).hexdigest()}.json"
    manifest = [{"Config": config_name, "RepoTags": [tag], "Layers": [f"{digest}/layer.tar"]}]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        _add_file(tar, f"{digest}/layer.tar", content, 0o644)
        _add_file(tar, config_name, encoded, 0o644)
        _add_file(tar, "manifest.json", json.dumps(manifest).encode(), 0o644)
    return buffer.getvalue()


def _entry(name: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = kind, mode
    return entry


def _add_file(tar: tarfile.TarFile, name: str, content: bytes, mode: int) -> None:
    entry = _entry(name, tarfile.REGTYPE, mode)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))


def main(busybox: Path, folder: Path) -> None:
    program = busybox.read_bytes()
    (folder / "busybox.tar").write_bytes(archive("busybox:latest", layer(("busybox", program), applets(busybox))))
    (folder / "nosh.tar").write_bytes(archive("nosh:latest", layer(("true", program), [])))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
