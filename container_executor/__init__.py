"""Runs the processes of a Colonies server as containers, on any engine, and single jobs without a server.

Importing this package costs nothing: each name is imported when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from container_executor.backend import Backend
    from container_executor.client import Client, Identity
    from container_executor.errors import BackendError, ContainerExecutorError, ServerError, SpecError
    from container_executor.execute.library import run_job, run_job_async
    from container_executor.execute.outcome import Outcome
    from container_executor.models import FailureClass, JobSpec, LogLine, Mount
    from container_executor.registry import open_backend

_HOMES = {
    "Backend": "backend",
    "BackendError": "errors",
    "Client": "client",
    "ContainerExecutorError": "errors",
    "FailureClass": "models",
    "Identity": "client",
    "JobSpec": "models",
    "LogLine": "models",
    "Mount": "models",
    "Outcome": "execute.outcome",
    "ServerError": "errors",
    "SpecError": "errors",
    "open_backend": "registry",
    "run_job": "execute.library",
    "run_job_async": "execute.library",
}

__all__ = [
    "Backend",
    "BackendError",
    "Client",
    "ContainerExecutorError",
    "FailureClass",
    "Identity",
    "JobSpec",
    "LogLine",
    "Mount",
    "Outcome",
    "ServerError",
    "SpecError",
    "open_backend",
    "run_job",
    "run_job_async",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
