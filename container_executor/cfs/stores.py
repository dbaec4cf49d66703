"""Opens the object store that the site set: S3 or a local folder."""

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from container_executor.cfs.direct import Direct
from container_executor.cfs.signature import Signer
from container_executor.cfs.store import Place, Store
from container_executor.connections import SILENCE, Connections, is_direct
from container_executor.errors import SettingsError
from container_executor.settings import CfsSettings, Settings, StoreKind

if TYPE_CHECKING:  # stubs: they are not there at run time
    from obstore.store import RetryConfig

REGION = "us-east-1"
"""Where a store is that says nothing of it."""
_CONNECT = timedelta(seconds=5)
_RETRY: "RetryConfig" = {"max_retries": 2, "retry_timeout": timedelta(seconds=20)}
_TOTAL = timedelta(days=7)  # obstore ends a whole request after 30 s by default, however fast it moves


def _kinds() -> Any:
    import obstore.store  # noqa: PLC0415 - what moves nothing need not wait for it

    return obstore.store


def open_store(settings: Settings) -> Store:
    """Return the store that the site set.

    Raises:
        SettingsError: None is set, or it cannot be used.
    """
    if settings.cfs.store is StoreKind.FOLDER:
        settings.require("cfs.folder")
        return folder_store(settings.cfs.folder or Path())
    settings.require("cfs.endpoint", "cfs.bucket", "cfs.access_key", "cfs.secret_key")
    return _s3(settings)


def folder_store(folder: Path) -> Store:
    """Return a store in a folder, which is made if it is missing.

    Raises:
        SettingsError: It cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise SettingsError(f"cfs.folder: {folder}: {error.strerror}") from None
    return Store(f"the file store {folder}", Place(), lambda: _kinds().LocalStore(folder), folder=folder)


def _s3(settings: Settings) -> Store:
    cfs = settings.cfs
    scheme, found, host = cfs.endpoint.rstrip("/").rpartition("://")
    tls = scheme == "https" if found else cfs.tls
    verify = not cfs.skip_verify

    def opened() -> Any:
        return _kinds().S3Store(
            cfs.bucket,
            endpoint=f"{'https' if tls else 'http'}://{host}",
            region=cfs.region or REGION,
            access_key_id=cfs.access_key.reveal() if cfs.access_key else "",
            secret_access_key=cfs.secret_key.reveal() if cfs.secret_key else "",
            virtual_hosted_style_request=False,
            unsigned_payload=True,  # every content is compared with its record when it comes back
            client_options={
                "allow_http": not tls,
                "allow_invalid_certificates": not verify,
                "timeout": _TOTAL,
                "read_timeout": timedelta(seconds=SILENCE),
                "connect_timeout": _CONNECT,
            },
            retry_config=_RETRY,
        )

    place = Place(server=host, bucket=cfs.bucket, region=cfs.region, tls=tls)
    name = f"the file store {host}/{cfs.bucket}"
    return Store(name, place, opened, verify, _direct(name, cfs, host, tls=tls))


def _direct(name: str, cfs: CfsSettings, host: str, *, tls: bool) -> Direct | None:
    scheme = "https" if tls else "http"
    if not is_direct(scheme, host):
        return None
    host, _, above = host.partition("/")
    access_key, secret_key = (key.reveal() if key else "" for key in (cfs.access_key, cfs.secret_key))
    signer = Signer(host, cfs.region or REGION, access_key, secret_key)
    connections = Connections(f"{scheme}://{host}", verify=not cfs.skip_verify)
    return Direct(name, connections, signer, f"/{above}/{cfs.bucket}".replace("//", "/"))
