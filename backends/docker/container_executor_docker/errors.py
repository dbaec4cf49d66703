"""Turns the exceptions of Docker's SDK into those of the contract, in one place."""

from collections.abc import Iterator
from contextlib import contextmanager

import docker.errors
import requests.exceptions
import urllib3.exceptions

from container_executor.errors import RejectedError, UnavailableError
from container_executor.models import FailureClass

_BUSY = (429, 500, 502, 503, 504)

_BY_WORDS = (
    ("no space left on device", FailureClass.DISK_FULL),
    ("manifest unknown", FailureClass.IMAGE_NOT_FOUND),
    ("not found: manifest", FailureClass.IMAGE_NOT_FOUND),
    ("no such image", FailureClass.IMAGE_NOT_FOUND),
    ("repository does not exist", FailureClass.IMAGE_NOT_FOUND),
    ("name unknown", FailureClass.IMAGE_NOT_FOUND),
    ("pull access denied", FailureClass.IMAGE_AUTH),
    ("no basic auth credentials", FailureClass.IMAGE_AUTH),
    ("unauthorized", FailureClass.IMAGE_AUTH),
    ("authentication required", FailureClass.IMAGE_AUTH),
    ("denied: ", FailureClass.IMAGE_AUTH),
    ("toomanyrequests", FailureClass.IMAGE_TRANSIENT),
    ("too many requests", FailureClass.IMAGE_TRANSIENT),
    ("invalid reference format", FailureClass.INVALID_SPEC),
    ("invalid mount", FailureClass.INVALID_SPEC),
)
"""What dockerd 20.10 to 28 and registries say, and what it proves."""


@contextmanager
def translated(action: str) -> Iterator[None]:
    """Let no exception of the SDK out; *action* says in the message what was being done."""
    try:
        yield
    except docker.errors.APIError as error:
        words = str(error.explanation or error)
        failure = class_of(words)
        if error.status_code in _BUSY and not failure:
            raise UnavailableError(f"{action}: docker: {words}") from error
        raise RejectedError(f"{action}: docker: {words}", failure=failure) from error
    except (docker.errors.DockerException, requests.exceptions.RequestException, urllib3.exceptions.HTTPError) as error:
        raise UnavailableError(f"{action}: docker does not answer: {error}") from error
    except OSError as error:
        raise UnavailableError(f"{action}: {error}") from error


def class_of(words: str) -> str:
    """Return the failure class that Docker's words prove, or ""."""
    low = words.lower()
    return next((failure.value for part, failure in _BY_WORDS if part in low), "")
