"""The docker backend: a container per rank, and a network per job where there are several."""

import contextlib
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import ClassVar

import attrs
import docker.errors

from container_executor.backend import LOG_LIMIT, Backend
from container_executor.errors import RejectedError, UnavailableError
from container_executor.models import (
    Capacity,
    Fault,
    Found,
    Handle,
    Health,
    JobSpec,
    JobStatus,
    LogChunk,
    Plan,
    Progress,
)
from container_executor.remembered import Remembered
from container_executor.streams import Streams
from container_executor_docker import events, health, request
from container_executor_docker.connection import Connection
from container_executor_docker.containers import Containers
from container_executor_docker.errors import ignored, translated
from container_executor_docker.guard import OWNER, boot_id, booted, ensure_guard
from container_executor_docker.guard_container import GuardContainer
from container_executor_docker.images import Images
from container_executor_docker.jobfolder import JobFolder
from container_executor_docker.labels import JOB, container_names, found_jobs, native_id
from container_executor_docker.launch import Launcher
from container_executor_docker.paths import Paths
from container_executor_docker.reader import JobReader, open_reader
from container_executor_docker.registries import login_faults
from container_executor_docker.settings import DockerSettings, LogDriver
from container_executor_docker.states import Boot, Inspected, is_over, job_status, started, with_output

CAPACITY_AGE = timedelta(seconds=5)


@attrs.define(eq=False, kw_only=True)
class DockerBackend(DockerSettings, Backend):
    """Runs jobs as containers of a Docker engine, or of one that speaks its API."""

    name: ClassVar[str] = "docker"

    _streams: Streams = attrs.field(factory=Streams, init=False)
    _readers: dict[str, JobReader] = attrs.field(factory=dict, init=False)
    _readers_lock: threading.Lock = attrs.field(factory=threading.Lock, init=False)
    _wake: Callable[[str], None] = attrs.field(default=lambda _job_id: None, init=False)
    _changes: int = attrs.field(default=0, init=False)
    _measured: Remembered[tuple[Capacity, Capacity]] = attrs.field(factory=lambda: Remembered(CAPACITY_AGE), init=False)
    _connection: Connection = attrs.field(init=False)
    _containers: Containers = attrs.field(init=False)
    _images: Images = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        """Put the parts together; nothing connects yet."""
        self._connection = Connection(self.host, self.context, self.tls)
        self._containers = Containers(self._connection, lambda: self.owner)
        self._images = Images(self._connection, self.pull, self.docker_config)

    # --- asking for a job -------------------------------------------------------------------------------------------

    def plan(self, job: JobSpec) -> Plan:
        return request.make_plan(job, self, self._paths())

    def prepare(self, plan: Plan, report: Callable[[Progress], None], stop: Event) -> str | None:
        with translated(f"image {plan.job.image}"):
            return self._images.ready(plan.job.image, report, stop, anew=plan.job.pull)

    def submit(self, plan: Plan, *, lifetime: timedelta | None) -> Handle:
        folder, launcher = self._folder(plan.job_id), Launcher(self._containers, self.gpu_driver)
        seconds = None if lifetime is None else lifetime.total_seconds()
        with translated(f"submit {plan.job_id}"), folder.locked():
            if self._paths().exchange:
                folder.give(plan.job.input, self.run_as())
            containers = launcher.make(plan, seconds)
            if seconds is not None:
                self._ensure_guard()
            launcher.start(containers, folder)
        self._changes += 1
        return Handle(plan.job_id, native_id([container.id for container in containers]), plan.job.ranks)

    def _ensure_guard(self) -> None:
        if self.guard_image:
            GuardContainer(self.guard_image, self.guard_socket).ensure(self._connection.api, self.owner)
        else:
            ensure_guard(self._connection.address.to_dict(), self.owner, self.directory / "guard.lock")

    # --- asking about it ----------------------------------------------------------------------------------------------

    def status(self, handles: Collection[Handle]) -> Mapping[str, JobStatus]:
        with translated("ask for the state of jobs"):
            found = self._containers.of_jobs(handles)
        return {handle.job_id: self._status(handle, found) for handle in handles if handle.job_id in found}

    def _status(self, handle: Handle, found: Mapping[str, Collection[Inspected]]) -> JobStatus:
        folder, containers = self._folder(handle.job_id), found[handle.job_id]
        boot = Boot(boot_id(), booted()) if self._connection.address.local else None
        oom = folder.out_of_memory() if any(map(is_over, containers)) else ()
        status = job_status(containers, handle.ranks, refused=folder.refused, boot=boot, oom=oom)
        return with_output(status, folder.output()) if status.state.ended else status

    def logs(self, handle: Handle, cursor: str = "", *, limit: int = LOG_LIMIT) -> LogChunk:
        with translated(f"read the output of {handle.job_id}"):
            reader = self._reader(handle, cursor)
            with reader.lock:
                return reader.read(limit)

    def _reader(self, handle: Handle, cursor: str) -> JobReader:
        with self._readers_lock:
            reader = self._readers.get(handle.job_id)
            if reader is None or reader.cursor != cursor:
                reader = self._readers[handle.job_id] = open_reader(
                    handle,
                    cursor,
                    streams=self._streams,
                    endpoint=self._connection.endpoint,
                    prefix=f"/v{self._connection.api.api_version}",
                    started=lambda name: self._started(handle, name),
                    known_ended=self._containers.known_ended,
                    on_data=lambda: self._wake(handle.job_id),
                    local=self.log_driver is LogDriver.LOCAL,
                )
            return reader

    def _started(self, handle: Handle, name: str) -> bool | None:
        container = self._containers.inspect(name)
        return None if container is None else started(container, refused=self._folder(handle.job_id).refused)

    def list_jobs(self) -> Collection[Found]:
        with translated("list the jobs"):
            networks = self._connection.api.networks(filters={"label": f"{OWNER}={self.owner}"})
            return found_jobs(self._containers.every(), networks)

    # --- ending it ----------------------------------------------------------------------------------------------------

    def cancel(self, handle: Handle, *, force: bool = False) -> None:
        with translated(f"cancel {handle.job_id}"):
            for name in container_names(handle):
                container = self._containers.inspect(name)
                if container is not None and container["State"]["Status"] == "created":
                    self._folder(handle.job_id).refuse()
                elif container is not None and container["State"]["Running"]:
                    with ignored(404, 409):  # it is gone, or has ended meanwhile
                        self._connection.api.kill(name, "KILL" if force else "TERM")

    def remove(self, handle: Handle) -> None:
        with self._readers_lock:
            reader = self._readers.pop(handle.job_id, None)
        if reader is not None:
            reader.close()
        with translated(f"remove {handle.job_id}"):
            for name in container_names(handle):
                if self._containers.inspect(name) is not None:
                    with ignored(404, 409):  # it is gone, or somebody else is removing it
                        self._connection.api.remove_container(name, v=True, force=True)
                self._containers.forget(name)
            self._remove_network(handle)
            self._folder(handle.job_id).remove()
        self._changes += 1

    def _remove_network(self, handle: Handle) -> None:
        filters = {"label": [f"{JOB}={handle.job_id}", f"{OWNER}={self.owner}"]}
        for network in self._connection.api.networks(filters=filters) if handle.ranks > 1 else ():
            with contextlib.suppress(docker.errors.NotFound):
                self._connection.api.remove_network(network["Id"])

    # --- the engine ---------------------------------------------------------------------------------------------------

    def watch(self, wake: Callable[[str], None], stop: Event) -> None:
        self._wake = wake
        with translated("watch the jobs"), contextlib.closing(self._connection.open()) as api:
            events.follow(api, self.owner, wake, stop)

    def capacity(self) -> Capacity | None:
        return self._free_and_total()[0]

    def total(self) -> Capacity | None:
        return self._free_and_total()[1]

    def _free_and_total(self) -> tuple[Capacity, Capacity]:
        """Return both as they were after the last job that we put on the engine or took from it."""
        return self._measured.get(self._measure, about=self._changes)

    def _measure(self) -> tuple[Capacity, Capacity]:
        with translated("ask what is free"):
            info, live = self._connection.api.info(), self._containers.every(live=True)
        gpus = [gpu for kind in self.gpus.values() for gpu in kind]
        return health.free(info, live, gpus), health.total(info, gpus)

    def probe(self) -> Health:
        try:
            with translated("ask for the version"):
                version, info = self._connection.api.version(), self._connection.api.info()
        except (UnavailableError, RejectedError) as error:
            return health.away(str(error))
        in_container = Path("/.dockerenv").exists() or Path("/run/.containerenv").exists()
        local = self._connection.address.local
        faults = [*health.settings_faults(self, in_container=in_container, local=local), *self._site_faults()]
        return health.health(version, info, [*faults, *health.log_faults(info, self.log_driver)])

    def _site_faults(self) -> Iterator[Fault]:
        """Yield what the engine finds wrong with what the site named."""
        if self.docker_config is not None and (self.docker_config / "config.json").is_file():
            yield from login_faults(self._connection.api, self.docker_config)
        try:
            if self.guard_image:
                self._connection.api.inspect_image(self.guard_image)
        except docker.errors.APIError as error:
            words = f"the engine does not have guard_image, {self.guard_image}: {error.explanation}"
            yield Fault(words, f"docker pull {self.guard_image} on the engine, or set another in [backends.docker]")

    def close(self) -> None:
        self._streams.close_all()
        self._connection.close()

    def _paths(self) -> Paths:
        return Paths(str(self.directory / "jobs"), self.paths, self._connection.address.local)

    def _folder(self, job_id: str) -> JobFolder:
        return JobFolder(self.directory / "jobs" / job_id)
