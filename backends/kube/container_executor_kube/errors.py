"""Turns what the apiserver refuses, and what keeps it from answering, into the errors of the contract, in one place."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import urllib3.exceptions
from kubernetes.client.exceptions import ApiException, OpenApiException
from kubernetes.config.config_exception import ConfigException

from container_executor.errors import RejectedError, UnavailableError
from container_executor.models import FailureClass

RIGHTS_FIX = "give this user the Role in the README of the kube backend: kubectl apply -f role.yaml"
_NO_RIGHT = re.compile(r"cannot \w+ resource")
"""What the RBAC authorizer says (kubernetes.io, Authorization); admission says other things with the same status."""
_BUSY = (408, 425, 429, 500, 502, 503, 504)


@contextmanager
def translated(action: str) -> Iterator[None]:
    """Let no exception of the SDK out; *action* says in the message what was being done."""
    try:
        yield
    except ApiException as error:
        raise refusal(action, error) from error
    except ConfigException as error:
        fix = "set kubeconfig in [backends.kube], or KUBECONFIG, or run inside the cluster"
        raise UnavailableError(f"{action}: {error}; {fix}") from error
    except (OpenApiException, urllib3.exceptions.HTTPError, OSError) as error:
        raise UnavailableError(f"{action}: the apiserver does not answer: {error}") from error
    except ValueError as error:
        raise UnavailableError(f"{action}: the apiserver's answer makes no sense: {error}") from error


def refusal(action: str, error: ApiException) -> UnavailableError | RejectedError:
    """Return the error that an answer of the apiserver stands for."""
    words = str(said(error).get("message") or error.reason or error.status)
    text = f"{action}: kubernetes: {words}"
    if error.status == 401 or (error.status == 403 and _NO_RIGHT.search(words)):
        fix = "renew the token in its kubeconfig" if error.status == 401 else RIGHTS_FIX
        return UnavailableError(f"{text}; {fix}", failure=FailureClass.ENGINE_UNAVAILABLE.value)
    if error.status in _BUSY or said(error).get("reason") == "Conflict" or is_going(error):
        return UnavailableError(text)
    return RejectedError(text, failure=_failure(int(error.status or 0), words))


def said(error: ApiException) -> Mapping[str, Any]:
    """Return the Status object in an answer, empty where there is none."""
    try:
        found = json.loads(error.body or "{}")
    except (TypeError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def is_there(error: ApiException) -> bool:
    """Tell whether an object was not made because one of that name is there."""
    return bool(error.status == 409 and said(error).get("reason") == "AlreadyExists" and not is_going(error))


def is_going(error: ApiException) -> bool:
    """Tell whether an object was not made because one of that name is still being deleted."""
    return bool(error.status == 409 and str(said(error).get("message", "")).startswith("object is being deleted"))


def _failure(status: int, words: str) -> str:
    if "exceeded quota" in words:
        return FailureClass.QUOTA.value
    return FailureClass.INVALID_SPEC.value if status in (400, 413, 422) else ""
