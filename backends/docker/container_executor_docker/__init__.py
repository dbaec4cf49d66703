"""Runs jobs as Docker containers."""

from container_executor_docker.backend import DockerBackend

__all__ = ["DockerBackend"]
