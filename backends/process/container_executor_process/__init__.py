"""The process backend: runs jobs as programs of this host."""

from container_executor_process.backend import ProcessBackend

__all__ = ["ProcessBackend"]
