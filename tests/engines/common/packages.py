"""Debian packages that an engine needs, installed once and without starting the services that they bring."""

import fcntl
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from common import places
from common.report import EngineError, say

POLICY = Path("/usr/sbin/policy-rc.d")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
SOURCES = (Path("/etc/apt/sources.list"), Path("/etc/apt/sources.list.d/debian.sources"))


def need(*names: str) -> None:
    """Install those of *names* that are missing.

    Raises:
        EngineError: apt failed; quotes the end of what it said.
    """
    if os.geteuid() != 0:
        raise EngineError("engines need root: control groups, mounts and networks; run this as root")
    with locked("packages"):
        missing = [name for name in names if not _installed(name)]
        if missing:
            say(f"installing {' '.join(missing)}")
            with _services_stay_off():
                apt("update")
                apt("install", "--yes", "--no-install-recommends", *missing)
                _keep_from_boot(missing)


def _installed(name: str) -> bool:
    query = subprocess.run(["dpkg-query", "--show", "--showformat", "${db:Status-Status}", name], capture_output=True, text=True)
    return query.stdout == "installed"


def _keep_from_boot(names: Sequence[str]) -> None:
    """Disable the services of the packages *names*: the tests start programs of their own, the machine need not."""
    files = subprocess.run(["dpkg-query", "--listfiles", *names], check=True, capture_output=True, text=True).stdout
    units = re.findall(r"^(?:/usr)?/lib/systemd/system/([^/\n]+\.(?:service|socket))$", files, re.MULTILINE)
    if units and shutil.which("systemctl"):
        subprocess.run(["systemctl", "--quiet", "disable", *units], check=False, capture_output=True)


def apt(*args: str, options: Sequence[str] = (), folder: Path | None = None) -> None:
    """Run apt-get with *args* in *folder*; other runs of apt on this machine are waited for."""
    command = ["apt-get", "--quiet", "--option", "DPkg::Lock::Timeout=300", *options, *args]
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode != 0:
        raise EngineError(f"{' '.join(command)} failed: " + "\n".join(done.stdout.splitlines()[-15:]))


@contextmanager
def locked(what: str) -> Iterator[None]:
    """Hold the lock *what* of the cache: engines may be brought up at the same time."""
    with (places.cache() / f"{what}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _services_stay_off() -> Iterator[None]:
    """Refuse every service start by package scripts meanwhile (https://manpages.debian.org/bookworm/init-system-helpers/)."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink()


def unpack(suite: str, names: Sequence[str], folder: Path) -> None:
    """Unpack the packages *names* of the Debian release *suite* into *folder*, without installing them or their dependencies."""
    work = folder.with_name(f"{folder.name}.work")
    shutil.rmtree(work, ignore_errors=True)
    (work / "lists" / "partial").mkdir(parents=True)  # apt empties the folder of lists of all that it does not know
    source = work / "sources.list"
    source.write_text(f"deb [signed-by={KEYRING}] {_mirror()} {suite} main\n")
    settings = {"Dir::Etc::SourceList": source, "Dir::Etc::SourceParts": "/dev/null", "Dir::State::Lists": work / "lists"}
    settings |= {"Dir::Cache::pkgcache": "", "Dir::Cache::srcpkgcache": "", "APT::Sandbox::User": "root"}
    options = [f"--option={name}={value}" for name, value in settings.items()]
    apt("update", options=options)
    apt("download", *names, options=options, folder=work)
    for package in work.glob("*.deb"):
        subprocess.run(["dpkg-deb", "--extract", package, folder], check=True)
    shutil.rmtree(work)


def _mirror() -> str:
    """Return the address from which this machine gets Debian itself."""
    text = "\n".join(path.read_text() for path in SOURCES if path.exists())
    found = re.search(r"^(?:URIs:|deb(?: \[.*\])?)\s+(\S+/debian/?)(?:\s|$)", text, re.MULTILINE)
    if found is None:
        raise EngineError(f"no Debian mirror named in {' or '.join(map(str, SOURCES))}")
    return found[1]
