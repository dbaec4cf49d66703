"""Submits a job from a program that is killed right afterwards: what a daemon's death leaves to the engine."""

import json
import pickle
import subprocess
import sys
import tempfile
from datetime import timedelta
from typing import Any

import attrs

from container_executor.backend import Backend
from container_executor.models import Handle, Plan


def submit_elsewhere(backend: Backend, plan: Plan, lifetime: timedelta | None) -> Handle:
    """Submit through a copy of *backend* in another program, which dies by KILL once it has the handle.

    The copy is made of the backend's class and its attrs fields, which are its settings and must be plain values.
    """
    kind: Any = type(backend)
    fields = [field for field in attrs.fields(kind) if field.init]
    settings = {field.alias or field.name: getattr(backend, field.name) for field in fields}
    order = pickle.dumps(sys.path) + pickle.dumps((kind, settings, plan, lifetime))
    argv = [sys.executable, "-m", "container_executor.testing.submitter"]
    with (
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as err,
    ):  # a pipe that the job inherits would hold us up
        subprocess.run(argv, input=order, stdout=out, stderr=err, check=False, timeout=120)
        out.seek(0)
        err.seek(0)
        text, words = out.read(), err.read().decode(errors="replace")
    if not text:
        raise RuntimeError(f"the program that submits ended without a handle: {words}")
    return Handle(**json.loads(text))
