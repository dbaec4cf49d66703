"""Submits a job from a program that is killed right afterwards: what a daemon's death leaves to the engine.

Run as ``python -m container_executor.testing.elsewhere`` with a pickle on standard input: the backend's class, its settings,
the plan and the lifetime. The handle is printed as JSON before the program kills itself.
"""

import json
import os
import pickle
import signal
import subprocess
import sys
from datetime import timedelta
from typing import Any

import attrs

from container_executor.backend import Backend
from container_executor.models import Handle, Plan


def submit_elsewhere(backend: Backend, plan: Plan, lifetime: timedelta | None) -> Handle:
    """Submit through a copy of *backend* in another program, which dies by KILL once it has the handle."""
    kind: Any = type(backend)
    fields = [field for field in attrs.fields(kind) if field.init]
    settings = {field.alias or field.name: getattr(backend, field.name) for field in fields}
    order = pickle.dumps(sys.path) + pickle.dumps((kind, settings, plan, lifetime))
    argv = [sys.executable, "-m", "container_executor.testing.elsewhere"]
    done = subprocess.run(argv, input=order, capture_output=True, check=False, timeout=120)
    if not done.stdout:
        raise RuntimeError(f"the program that submits printed no handle: {done.stderr.decode(errors='replace')}")
    return Handle(**json.loads(done.stdout))


def main() -> None:
    """Do what standard input says, and die."""
    sys.path[:] = pickle.load(sys.stdin.buffer)  # noqa: S301  written by submit_elsewhere
    kind, settings, plan, lifetime = pickle.load(sys.stdin.buffer)  # noqa: S301
    handle = kind(**settings).submit(plan, lifetime=lifetime)
    sys.stdout.write(json.dumps(attrs.asdict(handle)))
    sys.stdout.flush()
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
