"""The private keys that the settings of a site name."""

from container_executor.client import Identity, ensure_key
from container_executor.errors import SettingsError
from container_executor.settings import Settings


def key_of(settings: Settings, path: str) -> Identity | None:
    """Return the key in the setting at *path*, None where it is not set.

    Raises:
        SettingsError: It is no key.
    """
    secret = settings.value(path)
    try:
        return Identity(secret.reveal()) if secret else None
    except ValueError as error:
        raise SettingsError(f"{settings.origin(path)}: {path}: {error}") from None


def identity_of(settings: Settings, name: str) -> Identity:
    """Return the key of the executor *name*: the site's, else the one in the state directory, made where there is none.

    Raises:
        SettingsError: It cannot be read, or is none.
    """
    return key_of(settings, "server.key") or ensure_key(settings.state_dir / f"{name}.key")
