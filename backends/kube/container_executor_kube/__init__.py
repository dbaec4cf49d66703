"""Runs jobs as Kubernetes Jobs."""

from container_executor_kube.backend import KubeBackend

__all__ = ["KubeBackend"]
