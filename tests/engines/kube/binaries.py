"""Kubernetes' own programs, built from the modules that go.mod and go.sum here pin."""

import re
from pathlib import Path

from common import golang

HERE = Path(__file__).resolve().parent
PROGRAMS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kubectl")


def built() -> Path:
    """Return the folder with the programs, built unless cached."""
    return golang.built(HERE, [f"k8s.io/kubernetes/cmd/{name}" for name in PROGRAMS], flags=_flags())


def _flags() -> str:
    """Return linker flags that write the version into the programs: without it the apiserver calls itself v0.0.0."""
    version = re.search(r"k8s\.io/kubernetes (v(\d+)\.(\d+)\.\d+)", (HERE / "go.mod").read_text())
    assert version is not None
    values = {"gitVersion": version[1], "gitMajor": version[2], "gitMinor": version[3]}
    places = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    return " ".join(["-s -w", *(f"-X {place}.{name}={value}" for place in places for name, value in values.items())])
