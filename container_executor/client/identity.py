"""Key files, and names that the server can bear.

A key is written before it is used: an executor whose key is lost cannot end what it runs.
"""

import contextlib
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from container_executor.client.signing import Identity
from container_executor.errors import SettingsError

_LARGEST = 4096  # bytes of a key file; a key has 64
_LONGEST_NAME = 63
_FOREIGN = re.compile(r"[^a-z0-9.-]+")


def executor_name(text: str) -> str:
    """Return *text* as a name for an executor: ``a-z``, ``0-9``, ``.`` and ``-``, at most 63 characters.

    A colon in one executor's name makes the server fail every listing of the colony's executors, so nothing but these is let
    through. Anything else becomes one ``-``.

    Raises:
        SettingsError: Nothing is left.
    """
    name = _FOREIGN.sub("-", text.lower()).strip(".-")[:_LONGEST_NAME].rstrip(".-")
    if not name:
        raise SettingsError(f"{text[:80]!r} is no name for an executor; use a-z, 0-9, '.' and '-'")
    return name


def load_key(path: Path) -> Identity:
    """Read a key file: one private key, 64 hex digits, readable by its owner only.

    Raises:
        SettingsError: There is no such file, others may read it, or it holds no key.
    """
    try:
        with path.open("rb") as file:
            _check_mode(path, os.fstat(file.fileno()))
            text = file.read(_LARGEST).decode("ascii", "replace").strip()
    except OSError as error:
        raise SettingsError(f"key file {path}: cannot be read: {error.strerror}") from None
    try:
        return Identity(text.lower())
    except ValueError as error:
        raise SettingsError(f"key file {path}: {error}") from None


def ensure_key(path: Path) -> Identity:
    """Return the key in *path*, which is made first where there is none. Of two programs that make it at once, one wins.

    Make a file for each executor name: the server mixes up executors that share a key.

    Raises:
        SettingsError: As :func:`load_key`, or the file cannot be written.
    """
    if not path.exists():
        _create(path, Identity.new())
    return load_key(path)


def _create(path: Path, identity: Identity) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _written(path.parent, identity.key + "\n") as temporary, contextlib.suppress(FileExistsError):
            os.link(temporary, path)  # unlike a rename, it never replaces a key that somebody else has just made
        _sync_directory(path.parent)
    except OSError as error:
        raise SettingsError(f"key file {path}: cannot be written: {error.strerror}") from None


@contextlib.contextmanager
def _written(directory: Path, text: str) -> Iterator[str]:
    """Yield the path of a file on disk with *text*, readable by its owner only, and remove it."""
    import tempfile  # noqa: PLC0415 - most commands make no key

    descriptor, name = tempfile.mkstemp(prefix=".key-", dir=directory)  # mode 0600
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        yield name
    finally:
        Path(name).unlink()


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _check_mode(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise SettingsError(f"key file {path}: not a regular file")
    if status.st_mode & 0o077:
        raise SettingsError(f"key file {path}: others may read it; run: chmod 600 {path}")
