"""A program that submits one job and dies by KILL: ``python -m container_executor.testing.submitter``, fed by ``elsewhere``.

Standard input is a pickle of the import path and one of the backend's class, its settings, the plan and the lifetime. The handle
is printed as JSON before the end.
"""

import json
import os
import pickle
import signal
import sys

import attrs


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
