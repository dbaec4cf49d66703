"""The kube backend."""
