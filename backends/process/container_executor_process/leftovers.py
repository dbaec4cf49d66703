"""Programs of a job whose supervisor is gone, known by the marker in their environment."""

import os
import time

from container_executor_process.supervisor import layout, tree

_PATIENCE = 5.0
_PAUSE = 0.01


def end(marker: str) -> bool:
    """Kill what is left of a job; False where something is left all the same.

    The first program of each rank ended together with its supervisor, by the kernel; this is about its children.
    """
    deadline = time.monotonic() + _PATIENCE
    while _marked(marker):
        if time.monotonic() > deadline:
            return False
        tree.kill(lambda: _marked(marker))
        time.sleep(_PAUSE)
    return True


def _marked(marker: str) -> list[int]:
    pids = [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]
    return [pid for pid in pids if tree.variables(pid).get(layout.MARKER.encode()) == marker.encode()]
