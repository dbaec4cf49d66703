"""The cache of images in Apptainer's format (SIF) that the nodes run from.

::

    <cache>/sif/<sha256>.sif            an image, named by its content, moved into place when whole
    <cache>/sif/<sha256>.sif.workdir    the working directory that the image asks for
    <cache>/refs/<sha256 of a reference>  link to the image that a reference stands for now; its lock beside it
    <cache>/new/                        what is being made; cleared of what is older than a day
"""

import contextlib
import fcntl
import hashlib
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event

import attrs

from container_executor import command
from container_executor.errors import RejectedError
from container_executor.models import FailureClass, Progress
from container_executor_slurm.commands import Commands
from container_executor_slurm.conversion import build
from container_executor_slurm.references import Reference, parse

_DAY = 86_400
"""Seconds after which nobody works on what is left half-made."""


@attrs.frozen
class ImageCache:
    """Makes images ready, once each, whoever asks.

    Attributes:
        folder: Where the cache is.
        roots: Directories below which images may be named by path.
        apptainer: The container program.
        commands: Runs it.
        insecure: Registries without TLS.
        logins: The file with the logins of registries; None is the user's own.
    """

    folder: Path
    roots: tuple[Path, ...]
    apptainer: str
    commands: Commands
    insecure: tuple[str, ...] = ()
    logins: Path | None = None

    def prepare(self, text: str, *, anew: bool, report: Callable[[Progress], None], stop: Event) -> str | None:
        """Return the path that *text* stands for, made if it is not there. None when stopped early.

        Raises:
            RejectedError: There is no such image, no permission, or it has no shell.
            UnavailableError: The registry did not answer.
        """
        reference = parse(text, (*self.roots, self.folder))
        source = self._existing(reference)
        if source is not None and source.is_relative_to(self.folder):
            return str(reference.path)
        link = self.folder / "refs" / _key(reference, source)
        asked = time.time()
        if anew or not link.exists():
            with self._locked(link, stop):
                if not stop.is_set() and not (link.exists() and (not anew or os.lstat(link).st_mtime > asked)):
                    self._make(reference, link, report, stop)
        if stop.is_set() or not link.exists():
            return None
        return str(link if reference.ready else link.resolve())

    def _existing(self, reference: Reference) -> Path | None:
        """Return the real place of a file that a reference names; links must not lead out of where images may be."""
        if reference.path is None:
            return None
        if not reference.path.exists():
            raise RejectedError(f"{reference.path} does not exist", failure=FailureClass.IMAGE_NOT_FOUND)
        if reference.path.is_relative_to(self.folder):
            return reference.path
        source = reference.path.resolve()
        if not any(source.is_relative_to(root.resolve()) for root in self.roots):
            message = f"{reference.path} is a link to {source}, which is not below image_roots"
            raise RejectedError(message, failure=FailureClass.INVALID_SPEC)
        return source

    def _make(self, reference: Reference, link: Path, report: Callable[[Progress], None], stop: Event) -> None:
        """Build or inspect the image and point *link* at it; leave nothing where *stop* comes first."""
        with self._workplace() as place:
            image = Path(reference.uri) if reference.ready else place / "image.sif"
            if not reference.ready and not self._build(reference, image, report, stop):
                return
            self._require_shell(image)
            final = image if reference.ready else self.folder / "sif" / f"{_digest(image)}.sif"
            (place / "workdir").write_text(self._workdir(image), encoding="utf-8")
            (place / "workdir").replace(f"{link if reference.ready else final}.workdir")
            if not reference.ready:
                image.replace(final)
            (place / "link").symlink_to(final)
            (place / "link").replace(link)

    @contextlib.contextmanager
    def _workplace(self) -> Iterator[Path]:
        for name in ("refs", "sif", "new"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        _clear(self.folder / "new")
        place = self.folder / "new" / secrets.token_hex(8)
        place.mkdir()
        try:
            yield place
        finally:
            shutil.rmtree(place, ignore_errors=True)

    @contextlib.contextmanager
    def _locked(self, link: Path, stop: Event) -> Iterator[None]:
        """Hold the reference against other makers, in this program or another; gives up waiting when *stop* is set."""
        link.parent.mkdir(parents=True, exist_ok=True)
        with Path(f"{link}.lock").open("w") as lock:
            while not stop.is_set():
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    stop.wait(0.1)
            yield

    def _build(self, reference: Reference, image: Path, report: Callable[[Progress], None], stop: Event) -> bool:
        plain = ["--no-https"] if reference.registry in self.insecure else []
        logins = ["--authfile", str(self.logins)] if self.logins and reference.registry else []
        argv = [self._program(), "build", *plain, *logins, str(image), reference.uri]
        return build(argv, image.parent / "said", report, stop)

    def _require_shell(self, image: Path) -> None:
        result = self._apptainer("--silent", "exec", "--containall", "--cleanenv", str(image), "sh", "-c", ":")
        if result.exit_code != 0 and "executable file not found" in result.stderr:
            message = "the image has no sh, and every program is started by one; use an image with a shell"
            raise RejectedError(message, failure=FailureClass.INVALID_SPEC)

    def _workdir(self, image: Path) -> str:
        """Return the working directory in the image's own configuration, which Apptainer keeps but does not follow."""
        listing = self._apptainer("sif", "list", str(image)).stdout
        for number in re.findall(r"^(\d+) .*JSON", listing, re.MULTILINE):
            with contextlib.suppress(ValueError):
                document = json.loads(self._apptainer("sif", "dump", number, str(image)).stdout)
                if isinstance(document, dict) and document.get("WorkingDir"):
                    return str(document["WorkingDir"])
        return "/"

    def _apptainer(self, *argv: str) -> command.Result:
        return self.commands.run([self._program(), *argv])

    def _program(self) -> str:
        folder = self.commands.folder
        return str(folder / self.apptainer) if folder and (folder / self.apptainer).exists() else self.apptainer


def _key(reference: Reference, source: Path | None) -> str:
    """Return the name of a reference in the cache; a file that changed is another one."""
    state = f" {source} {source.stat().st_size} {source.stat().st_mtime_ns}" if source else ""
    return hashlib.sha256(f"{reference.uri}{state}".encode()).hexdigest()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _clear(folder: Path) -> None:
    for left in folder.iterdir():
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > _DAY:
                shutil.rmtree(left, ignore_errors=True)
