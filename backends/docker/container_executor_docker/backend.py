"""The docker backend: a container per rank, and a network per job where there are several."""

import contextlib
import json
import os
import shutil
import ssl
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import Any, ClassVar

import attrs
import docker
import docker.errors
import requests.exceptions
import urllib3.exceptions

from container_executor.backend import LOG_LIMIT, Backend
from container_executor.errors import RejectedError, UnavailableError
from container_executor.models import (
    OUTPUT_LIMIT,
    Capacity,
    FailureClass,
    Fault,
    Found,
    Handle,
    Health,
    JobSpec,
    JobStatus,
    LogChunk,
    Mark,
    Plan,
    Progress,
)
from container_executor.streams import Endpoint, Streams
from container_executor_docker import images, request, states
from container_executor_docker.errors import translated
from container_executor_docker.guard import ensure_guard
from container_executor_docker.reader import JobReader, open_reader

CALL_SECONDS = 30
FEW = 8
"""Containers that are inspected one by one; more of them are listed first."""
CAPACITY_SECONDS = 5.0
EVENT_SECONDS = 2.0
"""How long a stream of events may be silent before the watch looks whether it should end."""


@attrs.define(eq=False, kw_only=True)
class DockerBackend(Backend):
    """Runs jobs as containers of a Docker engine, or of one that speaks its API."""

    name: ClassVar[str] = "docker"

    owner: str
    directory: Path
    dev: bool = False
    host: str = attrs.field(
        default="",
        metadata={
            "help": "Address of the engine, as unix:///run/docker.sock; empty: DOCKER_HOST, then the context of the docker command."
        },
    )
    user: str = attrs.field(
        default="",
        metadata={
            "help": "UID:GID of every program; empty: the daemon's own, which must not be root. Development mode as root takes 65534:65534."
        },
    )
    pull: images.Pull = attrs.field(
        default=images.Pull.MISSING,
        converter=images.Pull,
        metadata={"help": "When an image is pulled: always, missing or never."},
    )
    docker_config: Path | None = attrs.field(
        default=None,
        metadata={"help": "Directory of a config.json with the logins of registries; not set: the user's own."},
    )
    network: str = attrs.field(
        default="bridge",
        metadata={"help": "Network mode of a job of one rank: bridge, none, host or the name of a network."},
    )
    pids: int = attrs.field(default=4096, metadata={"help": "Processes and threads of one rank at most."})
    tmp_size: int = attrs.field(
        default=2**30,
        metadata={"help": "Bytes of /tmp and of the home directory, each; they count as memory of the job."},
    )
    shm_size: int = attrs.field(default=2**26, metadata={"help": "Bytes of /dev/shm."})
    log_size: int = attrs.field(default=2**30, metadata={"help": "Bytes of output that the engine keeps of one rank."})
    gpu_driver: str = attrs.field(default="nvidia", metadata={"help": "Driver that GPUs are asked of."})
    paths: Mapping[str, str] = attrs.field(
        factory=dict,
        metadata={"help": "What the engine calls directories of the daemon, where they differ, by prefix."},
    )
    _streams: Streams = attrs.field(factory=Streams, init=False)
    _readers: dict[str, JobReader] = attrs.field(factory=dict, init=False)
    _ended: dict[str, Mapping[str, Any]] = attrs.field(factory=dict, init=False)
    _wake: Callable[[str], None] = attrs.field(default=lambda _job_id: None, init=False)
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False)
    _connecting: threading.Lock = attrs.field(factory=threading.Lock, init=False)
    _api: Any = attrs.field(default=None, init=False)
    _free: tuple[float, Capacity] = attrs.field(default=(0.0, Capacity()), init=False)

    # --- asking for a job -------------------------------------------------------------------------------------------

    def plan(self, job: JobSpec) -> Plan:
        return request.make_plan(job, self._site())

    def prepare(self, plan: Plan, report: Callable[[Progress], None], stop: Event) -> str | None:
        image = plan.job.image
        with translated(f"image {image}"):
            policy = images.Pull.ALWAYS if plan.job.pull else self.pull
            here = images.pinned(self._client(), image)
            if here is not None and policy is not images.Pull.ALWAYS:
                return here
            if policy is images.Pull.NEVER:
                words = f"image {image} is not on this engine, and this site pulls none"
                raise RejectedError(words, failure=FailureClass.IMAGE_NOT_FOUND.value)
            images.pull(self._client(), image, report, stop)
            return images.pinned(self._client(), image)

    def submit(self, plan: Plan, *, lifetime: timedelta | None) -> Handle:
        job = plan.job
        with translated(f"submit {job.job_id}"):
            self._exchange(job)
            if lifetime is not None:
                ensure_guard(self.host, self.owner, self.directory / "guard.lock")
            if "network" in plan.request:
                self._ensure_network(plan.request["network"])
            end = None if lifetime is None else time.time() + lifetime.total_seconds()
            ids = [self._create(container, end) for container in plan.request["containers"]]
            if not self._refused(job.job_id).exists():
                self._start(ids)
            return Handle(job.job_id, ",".join(id_[:12] for id_ in ids), job.ranks)

    def _create(self, container: Mapping[str, Any], end: float | None) -> str:
        body = dict(container["body"])
        if end is not None:
            body["Labels"] = {**body["Labels"], request.END: f"{end:.3f}"}
        try:
            created = self._client().create_container_from_config(body, container["name"])
        except docker.errors.APIError as error:
            if error.status_code != 409:
                raise
            return self._ours(container["name"], body["Labels"])
        return str(created["Id"])

    def _ours(self, name: str, labels: Mapping[str, str]) -> str:
        """Return the id of the container that has *name* already, if it is this job's."""
        found = self._client().inspect_container(name)
        if any(found["Config"]["Labels"].get(key) != labels[key] for key in (request.OWNER, request.JOB)):
            raise RejectedError(
                f"a container named {name} is there, and it is not ours; remove it",
                failure=FailureClass.NEVER_STARTED.value,
            )
        return str(found["Id"])

    def _start(self, ids: Sequence[str]) -> None:
        """Start the containers that have never been started. A failure stays in the container's state, as evidence."""
        for id_ in ids:
            state = self._client().inspect_container(id_)["State"]
            if state["Status"] != "created" or state.get("Error"):
                continue
            try:
                self._client().start(id_)
            except docker.errors.APIError:
                if not self._client().inspect_container(id_)["State"].get("Error"):
                    raise
                return

    def _ensure_network(self, body: Mapping[str, Any]) -> None:
        if not self._client().networks(filters={"label": f"{request.JOB}={body['Name']}"}):
            self._client().create_network(
                body["Name"], driver=body["Driver"], check_duplicate=True, labels=body["Labels"]
            )

    def _exchange(self, job: JobSpec) -> None:
        """Make the folder in which the job finds its input and leaves its output."""
        folder = self.directory / "exchange" / job.job_id
        if folder.exists() or not self._site().exchange:
            return
        making = folder.with_name(f".{job.job_id}")
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(parents=True)
        (making / "input.json").write_text(job.input)
        (making / "output").touch()
        uid, _, gid = self._user().partition(":")
        if os.geteuid() == 0:
            os.chown(making / "output", int(uid), int(gid or uid))
        else:
            (making / "output").chmod(0o666)
        making.chmod(0o755)
        making.rename(folder)

    # --- asking about it ----------------------------------------------------------------------------------------------

    def status(self, handles: Collection[Handle]) -> Mapping[str, JobStatus]:
        with translated("ask for the state of jobs"):
            found = self._inspect_all(handles)
        return {
            handle.job_id: self._with_output(
                handle,
                states.job_status(found[handle.job_id], handle.ranks, refused=self._refused(handle.job_id).exists()),
            )
            for handle in handles
            if found.get(handle.job_id)
        }

    def _inspect_all(self, handles: Collection[Handle]) -> Mapping[str, list[Mapping[str, Any]]]:
        names = {
            request.container_name(handle.job_id, handle.ranks, rank): handle.job_id
            for handle in handles
            for rank in range(handle.ranks)
        }
        if len(names) > FEW:
            listed = self._list(all=True)
            present = {name.lstrip("/") for container in listed for name in container["Names"]}
            names = {name: job_id for name, job_id in names.items() if name in present}
        found: dict[str, list[Mapping[str, Any]]] = {}
        for name, job_id in names.items():
            container = self._inspect(name)
            if container is not None:
                found.setdefault(job_id, []).append(container)
        return found

    def _inspect(self, name: str) -> Mapping[str, Any] | None:
        """Return what Docker says of one container; the end of one is asked for once."""
        if name in self._ended:
            return self._ended[name]
        try:
            container: Mapping[str, Any] = self._client().inspect_container(name)
        except docker.errors.NotFound:
            return None
        if (container["Config"]["Labels"] or {}).get(request.OWNER) != self.owner:
            return None
        if container["State"]["Status"] == "exited":
            self._ended[name] = container
        return container

    def _with_output(self, handle: Handle, status: JobStatus) -> JobStatus:
        if not status.state.ended:
            return status
        path = self.directory / "exchange" / handle.job_id / "output"
        try:
            with path.open("rb") as file:
                text = file.read(OUTPUT_LIMIT + 1).decode("utf-8", "replace")
        except OSError:
            return status
        return attrs.evolve(
            status, ranks=tuple(attrs.evolve(rank, output=text) if rank.rank == 0 else rank for rank in status.ranks)
        )

    def logs(self, handle: Handle, cursor: str = "", *, limit: int = LOG_LIMIT) -> LogChunk:
        with translated(f"read the output of {handle.job_id}"), self._lock:
            reader = self._readers.get(handle.job_id)
            if reader is None or reader.cursor != cursor:
                reader = self._readers[handle.job_id] = self._reader(handle, cursor)
            return reader.read(limit)

    def _reader(self, handle: Handle, cursor: str) -> JobReader:
        return open_reader(
            handle,
            cursor,
            streams=self._streams,
            endpoint=self._endpoint(),
            prefix=f"/v{self._client().api_version}",
            started=self._started,
            on_data=lambda: self._wake(handle.job_id),
        )

    def _started(self, name: str) -> bool | None:
        container = self._inspect(name)
        if container is None or container["State"]["Status"] == "created":
            return None
        return bool(container["State"]["Running"])

    def list_jobs(self) -> Collection[Found]:
        with translated("list the jobs"):
            jobs: dict[str, list[Mapping[str, Any]]] = {}
            for container in self._list(all=True):
                jobs.setdefault(container["Labels"][request.JOB], []).append(container)
        return [_found(containers) for containers in jobs.values()]

    def _list(self, *, all: bool) -> Sequence[Mapping[str, Any]]:  # noqa: A002 - the SDK's name
        listed: Sequence[Mapping[str, Any]] = self._client().containers(
            all=all, filters={"label": f"{request.OWNER}={self.owner}"}
        )
        return listed

    # --- ending it ----------------------------------------------------------------------------------------------------

    def cancel(self, handle: Handle, *, force: bool = False) -> None:
        with translated(f"cancel {handle.job_id}"):
            for rank in range(handle.ranks):
                self._signal(handle, request.container_name(handle.job_id, handle.ranks, rank), force=force)

    def _signal(self, handle: Handle, name: str, *, force: bool) -> None:
        container = self._inspect(name)
        if container is None:
            return
        if container["State"]["Status"] == "created":
            marker = self._refused(handle.job_id)
            marker.parent.mkdir(parents=True, exist_ok=True)
            marker.touch()
        elif container["State"]["Running"]:
            with contextlib.suppress(docker.errors.NotFound), _ended_meanwhile():
                self._client().kill(name, "KILL" if force else "TERM")

    def remove(self, handle: Handle) -> None:
        with translated(f"remove {handle.job_id}"):
            with self._lock:
                reader = self._readers.pop(handle.job_id, None)
                if reader is not None:
                    reader.close()
            for rank in range(handle.ranks):
                name = request.container_name(handle.job_id, handle.ranks, rank)
                if self._inspect(name) is not None:
                    with contextlib.suppress(docker.errors.NotFound), _already_in_progress():
                        self._client().remove_container(name, v=True, force=True)
                self._ended.pop(name, None)
            for network in self._client().networks(
                filters={"label": [f"{request.JOB}={handle.job_id}", f"{request.OWNER}={self.owner}"]}
            ):
                with contextlib.suppress(docker.errors.NotFound):
                    self._client().remove_network(network["Id"])
            shutil.rmtree(self.directory / "exchange" / handle.job_id, ignore_errors=True)
            self._refused(handle.job_id).unlink(missing_ok=True)

    # --- the engine ---------------------------------------------------------------------------------------------------

    def watch(self, wake: Callable[[str], None], stop: Event) -> None:
        self._wake = wake
        with translated("watch the jobs"):
            api, since = self._connect(), time.time()
            while not stop.is_set():
                with _quiet_for_long():
                    for event in self._events(api, since):
                        since = float(event["time"])
                        if event["Action"] in ("die", "oom", "start", "destroy"):
                            wake(event["Actor"]["Attributes"][request.JOB])

    def _events(self, api: Any, since: float) -> Iterator[Mapping[str, Any]]:
        """Yield our containers' events; unlike the SDK's own call, a silence ends it with a read timeout."""
        filters = {"type": ["container"], "label": [f"{request.OWNER}={self.owner}"]}
        answer = api.get(
            f"{api.base_url}/v{api.api_version}/events",
            params={"since": int(since), "filters": json.dumps(filters)},
            stream=True,
            timeout=EVENT_SECONDS,
        )
        with answer:
            for line in answer.iter_lines(chunk_size=1):
                if line:
                    yield json.loads(line)

    def capacity(self) -> Capacity | None:
        """Return the engine's own totals less what our live containers were given."""
        measured, free = self._free
        if time.monotonic() < measured + CAPACITY_SECONDS:
            return free
        with translated("ask what is free"):
            info = self._client().info()
            live = self._list(all=False)
        cpu = info["NCPU"] * 1000 - sum(int(container["Labels"].get(request.CPU, 0)) for container in live)
        memory = info["MemTotal"] - sum(int(container["Labels"].get(request.MEMORY, 0)) for container in live)
        self._free = (time.monotonic(), Capacity(cpu=max(0, cpu), memory=max(0, memory)))
        return self._free[1]

    def probe(self) -> Health:
        try:
            with translated("ask for the version"):
                version = self._client().version()
        except (UnavailableError, RejectedError) as error:
            fix = "start Docker, add this user to the docker group, or set host in [backends.docker]"
            return Health(reachable=False, faults=(Fault(str(error), fix),))
        faults = [] if self._user() else [Fault("jobs would run as root", 'set user = "UID:GID" in [backends.docker]')]
        return Health(
            reachable=True, version=f"Docker {version['Version']}, API {version['ApiVersion']}", faults=tuple(faults)
        )

    def close(self) -> None:
        self._streams.close_all()
        if self._api is not None:
            self._api.close()

    def _client(self) -> Any:
        with self._connecting:
            if self._api is None:
                self._api = self._connect()
            return self._api

    def _connect(self) -> Any:
        if self.host:
            api = docker.APIClient(base_url=self.host, version="auto", timeout=CALL_SECONDS)
        else:
            api = docker.from_env(version="auto", timeout=CALL_SECONDS).api
        if self.docker_config is not None:
            api.reload_config(str(self.docker_config / "config.json"))
        return api

    def _endpoint(self) -> Endpoint:
        base = str(self._client().base_url)
        if base.startswith("http+docker://"):
            socket = (self.host or os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock").removeprefix(
                "unix://"
            )
            return Endpoint("http://localhost", socket=socket)
        return Endpoint(base, ssl=self._tls() if base.startswith("https") else None)

    def _tls(self) -> ssl.SSLContext:
        api = self._client()
        context = ssl.create_default_context(cafile=api.verify if isinstance(api.verify, str) else None)
        if api.cert:
            context.load_cert_chain(*api.cert)
        return context

    def _user(self) -> str:
        if self.user:
            return self.user
        if os.geteuid():
            return f"{os.geteuid()}:{os.getegid()}"
        return "65534:65534" if self.dev else ""

    def _site(self) -> request.Site:
        local = (self.host or os.environ.get("DOCKER_HOST") or "unix://").startswith("unix://")
        return request.Site(
            user=self._user(),
            network=self.network,
            pids=self.pids,
            tmp_size=self.tmp_size,
            shm_size=self.shm_size,
            log_size=self.log_size,
            gpu_driver=self.gpu_driver,
            exchange=str(self.directory / "exchange") if local else "",
            paths=self.paths,
        )

    def _refused(self, job_id: str) -> Path:
        return self.directory / "refused" / job_id


@contextlib.contextmanager
def _ignored(status: int) -> Iterator[None]:
    try:
        yield
    except docker.errors.APIError as error:
        if error.status_code != status:
            raise


def _ended_meanwhile() -> AbstractContextManager[None]:
    """Take no offence at 409 for a signal: the container is not running any more."""
    return _ignored(409)


def _already_in_progress() -> AbstractContextManager[None]:
    """Take no offence at 409 for a removal: somebody else is removing it."""
    return _ignored(409)


@contextlib.contextmanager
def _quiet_for_long() -> Iterator[None]:
    """Take no offence at a stream of events in which nothing came for as long as a call may take."""
    try:
        yield
    except (
        requests.exceptions.ReadTimeout,
        requests.exceptions.ConnectionError,
        urllib3.exceptions.ReadTimeoutError,
    ) as error:
        if "timed out" not in str(error).lower():
            raise


def _found(containers: Sequence[Mapping[str, Any]]) -> Found:
    labels = containers[0]["Labels"]
    mark = Mark.from_dict(
        {name: labels[f"{request.LABEL}.{name}"] for name in ("owner", "colony", "process_id", "attempt", "launch")}
    )
    native = ",".join(container["Id"][:12] for container in containers)
    return Found(Handle(labels[request.JOB], native, int(labels[request.RANKS])), mark)
