"""Who ran what: the fields by which the daemon's own log names a process, its job and its end.

Each line of the log that is about a process bears ``process`` and ``attempt``, and once it is launched ``job`` and ``native_id``:
they are bound to the task of its life, and the tasks that it starts inherit them. Commands are logged as a digest only, because
users put secrets into arguments.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from structlog.contextvars import bind_contextvars, bound_contextvars

from container_executor.client import Process
from container_executor.execute.outcome import Outcome
from container_executor.models import Handle

_COMMAND = ("init-cmd", "cmd", "args")
_LONGEST = 300
"""Characters of a user's text that are logged."""


def who_ran_what(executor: str, process: Process) -> dict[str, Any]:
    """Return on whose behalf *executor* runs which program.

    ``command`` is the SHA-256 of the JSON array of the spec's ``init-cmd``, ``cmd`` and ``args``, null where one is missing, without
    spaces: equal commands have equal digests.
    """
    kwargs = process.spec.get("kwargs")
    given: Mapping[str, Any] = kwargs if isinstance(kwargs, dict) else {}
    return {
        "executor": executor,
        "colony": process.colony,
        "initiator": process.initiator,
        "initiator_id": process.initiator_id,
        "process": process.id,
        "attempt": process.attempt,
        "funcname": str(process.spec.get("funcname", ""))[:_LONGEST],
        "image": str(given.get("docker-image") or "")[:_LONGEST],
        "command": "sha256:" + _digest([given.get(name) for name in _COMMAND]),
    }


def what_became(outcome: Outcome) -> dict[str, Any]:
    """Return how it ended: ``outcome`` is success or the class of the failure."""
    return {
        "outcome": outcome.failure.value if outcome.failure else "success",
        "exit_code": outcome.exit_code,
        "node": outcome.node,
        "image_id": outcome.image_id,
        "native_id": outcome.native_id,
        "launch": outcome.launch,
        "message": outcome.message,
    }


@contextmanager
def about(process: Process, handle: Handle | None) -> Iterator[None]:
    """Name a process, and its job where it has one, in every line that this task logs."""
    with bound_contextvars(process=process.id, attempt=process.attempt):
        if handle is not None:
            about_job(handle)
        yield


def about_job(handle: Handle) -> None:
    """Name a job in every further line that this task logs."""
    bind_contextvars(job=handle.job_id, native_id=handle.native_id)


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, separators=(",", ":")).encode()).hexdigest()
