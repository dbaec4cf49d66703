"""Turns the exceptions and words of Docker into those of the contract, in one place."""

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager

import docker.errors
import requests.exceptions
import urllib3.exceptions

from container_executor.errors import BackendError, RejectedError, UnavailableError
from container_executor.models import FailureClass

_BUSY = (429, 500, 502, 503, 504)
_FULL = (errno.ENOSPC, errno.EDQUOT)

_BY_WORDS = (
    ("no space left on device", FailureClass.DISK_FULL),
    ("disk quota exceeded", FailureClass.DISK_FULL),
    ("toomanyrequests", FailureClass.IMAGE_TRANSIENT),
    ("too many requests", FailureClass.IMAGE_TRANSIENT),
    ("manifest unknown", FailureClass.IMAGE_NOT_FOUND),
    ("not found: manifest", FailureClass.IMAGE_NOT_FOUND),
    ("no such image", FailureClass.IMAGE_NOT_FOUND),
    ("no matching manifest", FailureClass.IMAGE_NOT_FOUND),
    ("no basic auth credentials", FailureClass.IMAGE_AUTH),
    ("authorization failed", FailureClass.IMAGE_AUTH),
    ("unauthorized", FailureClass.IMAGE_AUTH),
    ("repository does not exist", FailureClass.IMAGE_NOT_FOUND),
    ("name unknown", FailureClass.IMAGE_NOT_FOUND),
    ("unknown blob", FailureClass.IMAGE_NOT_FOUND),
    ("blob unknown", FailureClass.IMAGE_NOT_FOUND),
    ("pull access denied", FailureClass.IMAGE_AUTH),
    ("authentication required", FailureClass.IMAGE_AUTH),
    ("denied: ", FailureClass.IMAGE_AUTH),
    ("invalid reference format", FailureClass.INVALID_SPEC),
    ("invalid mount", FailureClass.INVALID_SPEC),
    ("minimum memory limit", FailureClass.INVALID_SPEC),
    ("range of cpus is from", FailureClass.UNSCHEDULABLE),
    ("could not select device driver", FailureClass.UNSCHEDULABLE),
    ("error gathering device information", FailureClass.UNSCHEDULABLE),
    ("oom-killed", FailureClass.OOM),
    ('exec: "sh"', FailureClass.INVALID_SPEC),
    ("sh: executable file not found", FailureClass.INVALID_SPEC),
    ("exec /bin/sh", FailureClass.INVALID_SPEC),
)
"""What dockerd 20.10 to 28, runc and registries say, and what it proves; the first that fits counts."""

_AWAY = re.compile(
    r"time-?out|deadline exceeded|awaiting headers|connection (refused|reset)|no route to host|network is unreachable"
    r"|temporary failure|no such host|lookup |\beof\b|http (status: )?(429|5\d\d)|server error|request canceled|bad gateway|unavailable"
)
"""What dockerd says of a registry that does not answer."""


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
        if error.errno in _FULL:
            raise RejectedError(f"{action}: {error}", failure=FailureClass.DISK_FULL.value) from error
        raise UnavailableError(f"{action}: {error}") from error


@contextmanager
def ignored(*statuses: int) -> Iterator[None]:
    """Take no offence at an answer with one of these HTTP statuses."""
    try:
        yield
    except docker.errors.APIError as error:
        if error.status_code not in statuses:
            raise


def class_of(words: str) -> str:
    """Return the failure class that Docker's words prove, or ""."""
    low = words.lower()
    return next((failure.value for part, failure in _BY_WORDS if part in low), "")


def pull_error(image: str, words: str) -> BackendError:
    """Return what the words with which a pull ended mean.

    They come in the stream of an answer that had begun with 200, or as the answer itself, always with the same words.
    """
    failure = class_of(words)
    if not failure and words.endswith(": not found"):  # containerd's words, which hold those of the registry
        failure = FailureClass.IMAGE_NOT_FOUND.value
    if failure == FailureClass.IMAGE_TRANSIENT.value or (not failure and _AWAY.search(words.lower())):
        return UnavailableError(f"pull of {image}: {words}", failure=FailureClass.IMAGE_TRANSIENT.value)
    return RejectedError(f"pull of {image}: {words}", failure=failure)
