"""Whether the private keys are keys, and only their owner can read them."""

import stat
from collections.abc import Iterator
from pathlib import Path

from container_executor.cli.config_problems import name_of
from container_executor.cli.doctor_report import Finding, fault, ok
from container_executor.client.identity import load_key
from container_executor.client.signing import Identity
from container_executor.errors import SettingsError
from container_executor.execute.keys import key_of
from container_executor.settings import Secret, Settings, fields

KEY = "key"


def check_keys(settings: Settings) -> Iterator[Finding]:
    """Yield what is wrong with the keys, and the id of the executor's."""
    yield from _readable_by_others(settings)
    if settings.server.key is None:
        yield _kept(settings)
    elif (identity := executor_key(settings)) is not None:
        yield ok(KEY, f"id {identity.id}, from {settings.origin('server.key')}")


def executor_key(settings: Settings) -> Identity | None:
    """Return the key that the daemon signs with, None where it has not made one yet, or cannot read it."""
    try:
        if settings.server.key is not None:
            return key_of(settings, "server.key")
        place = kept_key(settings)
        return load_key(place) if place.exists() else None
    except (SettingsError, OSError):
        return None


def kept_key(settings: Settings) -> Path:
    """Return the file in which the daemon keeps the key that it has made."""
    return settings.state_dir / f"{name_of(settings)}.key"


def _kept(settings: Settings) -> Finding:
    place = kept_key(settings)
    try:
        if not place.exists():
            return ok(KEY, f"none yet; the daemon makes one at its first start, in {place}")
        return ok(KEY, f"id {load_key(place).id}, from {place}")
    except PermissionError as error:
        return fault(KEY, f"{place}: {error.strerror}", "run this as the daemon's user")
    except SettingsError as error:
        fix = f"chmod 600 {place}" if "others may read it" in str(error) else "put the key back from a backup"
        return fault(KEY, str(error).partition("; run:")[0], fix)


def _readable_by_others(settings: Settings) -> Iterator[Finding]:
    """Yield a fault for each file with a secret that everyone on this machine can read."""
    for path, field in fields().items():
        file = _file_of(settings.origin(path)) if field.type == Secret | None and settings.value(path) else None
        if file is not None and stat.S_IMODE(file.stat().st_mode) & stat.S_IROTH:
            yield fault(KEY, f"{file} holds {path}, and everyone on this machine can read it", f"chmod o= {file}")


def _file_of(origin: str) -> Path | None:
    """Return the file that a setting came from, None where it came from elsewhere."""
    for text in (origin, origin.rpartition(":")[0]):
        if text.startswith("/") and Path(text).is_file():
            return Path(text)
    return None
