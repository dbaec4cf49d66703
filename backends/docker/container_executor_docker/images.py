"""Gets an image ready: pulled as the policy says, once for all who ask, its progress told, its digest pinned."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import attrs
import docker.errors

from container_executor.errors import RejectedError
from container_executor.models import FailureClass, Progress
from container_executor_docker.connection import PULL_SECONDS, Connection
from container_executor_docker.errors import pull_error
from container_executor_docker.references import pinned_reference, split
from container_executor_docker.settings import Pull

Report = Callable[[Progress], None]
WAIT = 0.1


@attrs.define(eq=False)
class Images:
    """The images of one engine.

    Attributes:
        connection: The engine.
        policy: When an image is pulled.
        logins: Directory of a ``config.json`` with logins; None for the user's own.
    """

    connection: Connection
    policy: Pull
    logins: Path | None
    _locks: dict[str, threading.Lock] = attrs.field(factory=dict)

    def ready(self, image: str, report: Report, stop: Event, *, anew: bool) -> str | None:
        """Return the reference by which Docker finds what *image* is now, after a pull where one is due.

        Args:
            image: As the user wrote it.
            report: Told how it goes.
            stop: Ends it early, with None.
            anew: The user wants it pulled again, where the site pulls at all.

        Raises:
            RejectedError: There is none, or no permission.
            UnavailableError: The registry did not answer.
        """
        always = self.policy is Pull.ALWAYS or (anew and self.policy is not Pull.NEVER)
        here = None if always else self._pinned(image)
        if here is not None:
            return here
        if self.policy is Pull.NEVER:
            words = f"image {image} is not on this engine, and this site pulls none"
            raise RejectedError(words, failure=FailureClass.IMAGE_NOT_FOUND.value)
        with self._turn(image, report, stop) as ours:
            if not ours:
                return None
            here = None if always else self._pinned(image)
            if here is None and self._pull(image, report, stop):
                here = self._pinned(image)
        self._check(image, here, report)
        return here

    @contextmanager
    def _turn(self, image: str, report: Report, stop: Event) -> Iterator[bool]:
        """Wait for our turn to pull an image; False where *stop* came first."""
        lock = self._locks.setdefault(image, threading.Lock())
        ours = lock.acquire(blocking=False)
        if not ours:
            report(Progress(f"waiting for the pull of {image} by another job"))
        while not ours and not stop.is_set():
            ours = lock.acquire(timeout=WAIT)
        try:
            yield ours
        finally:
            if ours:
                lock.release()

    def _pinned(self, image: str) -> str | None:
        try:
            found = self.connection.api.inspect_image(image)
        except docker.errors.ImageNotFound:
            return None
        return pinned_reference(image, found)

    def _pull(self, image: str, report: Report, stop: Event) -> bool:
        """Pull an image; its progress is the bytes of all layers. False where *stop* ended it."""
        api = self.connection.open(timeout=PULL_SECONDS)
        try:
            self._log_in(api)
            repository, version = split(image)
            report(Progress(f"pulling {image}"))
            steps = api.pull(repository, tag=version, stream=True, decode=True)
            return _follow(image, steps, report, stop)
        except docker.errors.APIError as error:
            raise pull_error(image, str(error.explanation or error)) from error
        finally:
            api.close()

    def _log_in(self, api: Any) -> None:
        """Take the logins as they are in the file now."""
        if self.logins is None:
            return
        path = self.logins / "config.json"
        if not path.is_file():
            words = f"the logins of registries, {path}, are not there (docker_config in [backends.docker])"
            raise RejectedError(words, failure=FailureClass.IMAGE_AUTH.value)
        api.reload_config(str(path))

    def _check(self, image: str, here: str | None, report: Report) -> None:
        """Tell of an image that was made for other machines: its programs will not start."""
        if here is None:
            return
        found, engine = self.connection.api.inspect_image(here), self.connection.api.version()
        if found.get("Architecture") not in (None, "", engine.get("Arch")):
            words = f"{image} is for {found['Architecture']}, this engine is {engine.get('Arch')}"
            report(Progress(words))


def _follow(image: str, steps: Any, report: Report, stop: Event) -> bool:
    layers: dict[str, tuple[int, int]] = {}
    for step in steps:
        if stop.is_set():
            steps.close()
            return False
        if step.get("error"):
            raise pull_error(image, str(step["error"]))
        if _count(step, layers):
            done, total = (sum(layer[part] for layer in layers.values()) for part in (0, 1))
            report(Progress(f"pulling {image}:", done, total))
    report(Progress(f"pulled {image}"))
    return True


def _count(step: Mapping[str, Any], layers: dict[str, tuple[int, int]]) -> bool:
    detail = step.get("progressDetail") or {}
    if step.get("status") != "Downloading" or not detail.get("total"):
        return False
    layers[str(step.get("id"))] = (int(detail.get("current", 0)), int(detail["total"]))
    return True
