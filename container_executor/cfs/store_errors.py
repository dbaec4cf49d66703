"""What a store said, as an error that names the store and what to do."""

import http
import re

from container_executor.cfs.errors import (
    BucketMissingError,
    DiskError,
    ObjectMissingError,
    StoreDeniedError,
    StoreError,
    StoreUnavailableError,
)

_STATUS = re.compile(r"status code: (\d+)(?:.*?<Code>(\w+)</Code>)?", re.DOTALL)
_FULL = ("XMinioStorageFull", "QuotaExceeded", "XMinioAdminBucketQuotaExceeded")


def translated(name: str, error: Exception) -> StoreError | DiskError:
    """Return the error of what obstore, or the operating system, raised; *name* is the store's."""
    import obstore.exceptions  # noqa: PLC0415 - what moves nothing need not wait for it

    text = str(error).partition("Debug source")[0].strip()
    code = _STATUS.search(text)
    said = " ".join(part for part in (code.groups() if code else ()) if part) or _short(text)
    if isinstance(error, FileNotFoundError):
        return _missing(name, said)
    denials = (obstore.exceptions.PermissionDeniedError, obstore.exceptions.UnauthenticatedError, PermissionError)
    if isinstance(error, denials):
        return _denied(name, said)
    if "No space left" in text or "os error 28" in text or "Quota exceeded" in text:
        return DiskError(f"{name} is full; free space there", full=True)
    if code:
        return refusal(name, int(code[1]), code[2] or "")
    return _failing(name, said)


def refusal(name: str, status: int, code: str) -> StoreError | DiskError:
    """Return the error of an answer, by its status and S3's own word."""
    said = f"{status} {code}".strip()
    if status in (http.HTTPStatus.UNAUTHORIZED, http.HTTPStatus.FORBIDDEN):
        return _denied(name, said)
    if status == http.HTTPStatus.NOT_FOUND:
        return _missing(name, said)
    if status == http.HTTPStatus.INSUFFICIENT_STORAGE or code in _FULL:
        return DiskError(f"{name} is full ({said}); free space there", full=True)
    return _failing(name, said)


def _missing(name: str, said: str) -> StoreError:
    if "NoSuchBucket" in said:
        return BucketMissingError(f"{name} does not have the bucket; what is stored first makes it")
    return ObjectMissingError(f"{name} does not have the object ({said})")


def _denied(name: str, said: str) -> StoreError:
    return StoreDeniedError(f"{name} refused us ({said}); check its keys and their rights in [cfs]")


def _failing(name: str, said: str) -> StoreError:
    return StoreUnavailableError(f"{name} does not answer, or failed ({said})")


def _short(text: str) -> str:
    return " ".join(text.split())[:300]
