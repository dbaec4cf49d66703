"""Runs the guard as a container of its own, for a daemon that is in a container itself, or whose engine is on another machine.

Such a guard outlives the daemon's container and the daemon's machine. It runs the code of :mod:`.guard` as this daemon has it, so
that its image needs Python and the ``docker`` package only, in any version that works.
"""

import inspect
import posixpath
from typing import Any

import attrs
import docker.errors

from container_executor.errors import RejectedError
from container_executor.models import FailureClass
from container_executor_docker import guard
from container_executor_docker.errors import ignored

LABEL = f"{guard.LABEL}.guard"
"""On the guard's container; its value is the owner. It does not bear the owner's own label, as it is no job."""
_ENGINE = "/engine"
"""Where the guard finds the directory of the engine's socket. The socket itself would be gone after a restart of dockerd."""
_MEMORY = 2**28
_PIDS = 64
_FAULTS = (1, 126, 127)
"""Exit codes of Python, and of a container without it."""


@attrs.frozen
class GuardContainer:
    """What the site decided about a guard in a container.

    Attributes:
        image: Its image, which the engine has.
        socket: The engine's socket on the engine's own machine.
    """

    image: str
    socket: str

    def ensure(self, api: Any, owner: str) -> None:
        """Start the guard of *owner* unless one is there.

        Raises:
            RejectedError: It cannot run in that image.
        """
        name = f"ce-guard-{owner}"
        try:
            if not self._is_up(api, name):
                with ignored(409):  # another submit has just made it
                    api.create_container_from_config(self.body(owner, name), name)
                api.start(name)
        except docker.errors.APIError as error:
            with ignored(404, 409):
                api.remove_container(name, force=True)
            raise self._unfit(str(error.explanation)) from error

    def _is_up(self, api: Any, name: str) -> bool:
        """Return whether the guard runs; one that was ended from outside is removed.

        Raises:
            RejectedError: It has ended with a fault.
        """
        try:
            state = api.inspect_container(name)["State"]
        except docker.errors.NotFound:
            return False
        if state["Status"] in ("exited", "dead"):
            said = api.logs(name, tail=1).decode("utf-8", "replace").strip()
            with ignored(404, 409):
                api.remove_container(name, force=True)
            if state["ExitCode"] in _FAULTS:
                raise self._unfit(said)
        return bool(state["Status"] == "running")

    def _unfit(self, words: str) -> RejectedError:
        return RejectedError(
            f"the guard cannot run in {self.image}: {words}; set guard_image in [backends.docker] to an image on the engine "
            "that has python3 and its docker package",
            failure=FailureClass.NEVER_STARTED.value,
        )

    def body(self, owner: str, name: str) -> dict[str, Any]:
        """Return the body of the create call."""
        folder, file = posixpath.split(self.socket)
        source = inspect.getsource(guard)
        return {
            "Image": self.image,
            "Entrypoint": ["python3", "-P", "-c", source],
            "Cmd": [f"unix://{_ENGINE}/{file}", owner, name],
            "Labels": {LABEL: owner},
            "User": "0:0",  # of the host, as whose the socket is
            "WorkingDir": "/",
            "HostConfig": {
                "NetworkMode": "none",
                "ReadonlyRootfs": True,
                "CapDrop": ["ALL"],
                "SecurityOpt": ["no-new-privileges"],
                "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m"}},
                "Memory": _MEMORY,
                "PidsLimit": _PIDS,
                "Mounts": [{"Type": "bind", "Source": folder, "Target": _ENGINE, "ReadOnly": True}],
            },
        }
