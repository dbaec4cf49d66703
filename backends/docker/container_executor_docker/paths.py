"""The daemon's directories as the engine sees them, if it sees them at all. Pure."""

from collections.abc import Mapping
from typing import Any

import attrs

from container_executor.models import JobSpec, Mount

EXCHANGE = "/run/colonies"
"""Where a job finds its input and leaves its output."""


@attrs.frozen
class Paths:
    """Which directories can be mounted into a container.

    Attributes:
        jobs: The daemon's directory of job folders.
        names: By prefix of the daemon's paths, what the engine calls it.
        local: The engine sees this machine's files: a path without another name is the same there.
    """

    jobs: str
    names: Mapping[str, str]
    local: bool

    def on_engine(self, path: str) -> str | None:
        """Return what the engine calls a path of the daemon's, None where it does not see it."""
        for here in sorted(self.names, key=len, reverse=True):
            prefix = here.rstrip("/")
            if path == here or path.startswith(prefix + "/"):
                return (self.names[here].rstrip("/") + path[len(prefix) :]) or "/"
        return path if self.local else None

    @property
    def exchange(self) -> bool:
        """Whether a job can be given files of the daemon's own."""
        return self.on_engine(self.jobs) is not None

    def mounts(self, job: JobSpec) -> list[dict[str, Any]]:
        """Return the mounts of a job, its own folder first."""
        own = (Mount(f"{self.jobs}/{job.job_id}/exchange", EXCHANGE),) if self.exchange else ()
        return [self._mount(mount) for mount in (*own, *job.mounts)]

    def _mount(self, mount: Mount) -> dict[str, Any]:
        return {
            "Type": "bind",
            "Source": self.on_engine(mount.source),
            "Target": mount.target,
            "ReadOnly": mount.read_only,
            "BindOptions": {"Propagation": "rprivate"},
        }
