"""Programs built from Go modules, kept in the cache under a key made of everything that decides what comes out."""

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from common import packages, places
from common.report import EngineError, say

# The oldest release that the modules' own `go` lines accept.
OLDEST = (1, 24)
USUAL_PLACE = Path("/usr/local/go/bin/go")
# Debian 12 has Go 1.19 and, in its backports, 1.23; Debian 13 has 1.24, which runs on the older C library, too.
NEWER_DEBIAN = "trixie"
TOOLCHAIN = "golang-1.24"


def built(module: Path, programs: Sequence[str], *, flags: str = "-s -w") -> Path:
    """Return the folder with *programs* (package paths), built from the go.mod and go.sum in *module* unless cached.

    The build runs at the lowest priority; whoever comes second waits for the first.
    """
    key = _key(module, programs, flags)
    folder = places.cache() / f"{module.name}-{key}"
    with packages.locked(module.name):
        if not folder.exists():
            _build(module, programs, flags, folder)
    return folder


def _key(module: Path, programs: Sequence[str], flags: str) -> str:
    recipe = [(module / name).read_bytes() for name in ("go.mod", "go.sum")]
    recipe += [Path(__file__).read_bytes(), " ".join([*programs, flags]).encode()]
    return hashlib.sha256(b"\0".join(recipe)).hexdigest()[:16]


def _build(module: Path, programs: Sequence[str], flags: str, folder: Path) -> None:
    """Build into *folder*, which appears only when all is done."""
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    say(f"building {', '.join(Path(name).name for name in programs)}: minutes, once")
    command = ["nice", "-n", "15", _go(), "build", "-mod=readonly", "-trimpath", "-ldflags", flags, "-o", f"{partial}/"]
    done = subprocess.run(
        [*command, *programs],
        cwd=module,
        env={**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "-buildvcs=false"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode != 0:
        raise EngineError(f"go build failed in {module}: " + "\n".join(done.stdout.splitlines()[-15:]))
    partial.rename(folder)


def _go() -> str:
    """Return a Go of at least `OLDEST`: the machine's, else Debian's, unpacked into the cache."""
    for candidate in (shutil.which("go"), str(USUAL_PLACE), str(_debian_go())):
        if candidate and _version(candidate) >= OLDEST:
            return candidate
    return str(_unpack_debian_go())


def _version(go: str) -> tuple[int, int]:
    """Return the release of *go*, (0, 0) if it does not run."""
    try:
        said = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, cwd="/").stdout
    except OSError:
        return (0, 0)
    found = re.match(r"go(\d+)\.(\d+)", said)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _debian_go() -> Path:
    return places.cache() / TOOLCHAIN / "usr" / "lib" / TOOLCHAIN.replace("lang", "") / "bin" / "go"


def _unpack_debian_go() -> Path:
    """Unpack the Go of the next Debian into the cache; the machine's own packages and lists stay as they are."""
    say(f"no go of {'.'.join(map(str, OLDEST))} or later here: unpacking Debian's {TOOLCHAIN}")
    packages.unpack(NEWER_DEBIAN, [f"{TOOLCHAIN}-go", f"{TOOLCHAIN}-src"], places.cache() / TOOLCHAIN)
    if _version(str(_debian_go())) < OLDEST:
        raise EngineError(f"{_debian_go()} does not run; install go {'.'.join(map(str, OLDEST))} or later and put it on PATH")
    return _debian_go()
