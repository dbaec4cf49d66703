"""Makes the bucket of an S3 store: obstore has no call for it, but signs one."""

import http
import urllib.error
import urllib.request
from datetime import timedelta
from typing import TYPE_CHECKING

import obstore

from container_executor.cfs.errors import StoreDeniedError, StoreUnavailableError
from container_executor.connections import tls_context

if TYPE_CHECKING:
    from obstore.store import S3Store

_SIGNED = timedelta(minutes=15)
_SECONDS = 30


def make_bucket(name: str, store: "S3Store", *, verify: bool) -> None:
    """Make the bucket of a store.

    Args:
        name: What messages call the store.
        store: Signs the request.
        verify: Whether the certificate is checked.

    Raises:
        StoreDeniedError: We may not.
        StoreUnavailableError: The store does not answer.
    """
    request = urllib.request.Request(obstore.sign(store, "PUT", "", _SIGNED), method="PUT")  # noqa: S310 - the store's own
    try:
        with urllib.request.urlopen(request, timeout=_SECONDS, context=tls_context(verify=verify)):  # noqa: S310
            return
    except urllib.error.HTTPError as error:
        if error.code == http.HTTPStatus.CONFLICT:  # somebody made it meanwhile
            return
        words = f"{name}: the bucket is missing and cannot be made ({error.code}); make it"
        raise StoreDeniedError(words) from None
    except OSError as error:
        raise StoreUnavailableError(f"{name} does not answer: {error}") from None
