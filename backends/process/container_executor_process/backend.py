"""The process backend: each rank is a program on this host, in a session of its own."""

import contextlib
import logging
import os
import platform
import signal
import time
from collections.abc import Callable, Collection, Mapping
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import ClassVar

import attrs

from container_executor.backend import LOG_LIMIT, Backend
from container_executor.errors import Problem, RejectedError, UnavailableError, UnsupportedError
from container_executor.models import Fault, Found, Handle, Health, JobSpec, JobStatus, LogChunk, Plan, Progress
from container_executor_process import evidence, jobs, logs, request, watch
from container_executor_process.errors import translated
from container_executor_process.launcher import Launcher
from container_executor_process.statuses import Statuses
from container_executor_process.supervisor import layout, limits

_log = logging.getLogger(__name__)

_END_SECONDS = 5.0
"""How long a job that is being removed may take to end."""

_REFUSED = Problem(
    "",
    "the process backend runs programs on this host without a container, so it serves development only; "
    "run with --dev, or set allow_host_execution for it, or choose another backend",
)


@attrs.define(eq=False, kw_only=True)
class ProcessBackend(Backend):
    """Runs jobs as programs of this host, for development and for sites that want no container.

    Attributes:
        owner: Whose jobs these are.
        directory: Where each job has a directory.
        dev: Set by the core in development mode, where programs may run on the host.
        allow_host_execution: The site lets programs run on the host outside development mode too.
    """

    name: ClassVar[str] = "process"

    owner: str
    directory: Path
    dev: bool = False
    allow_host_execution: bool = False
    _launcher: Launcher = attrs.field(factory=Launcher, init=False, repr=False)
    _statuses: Statuses = attrs.field(factory=Statuses, init=False, repr=False)

    def plan(self, job: JobSpec) -> Plan:
        if not (self.dev or self.allow_host_execution):
            raise UnsupportedError(_REFUSED)
        return request.make_plan(job, place=self.directory)

    def prepare(self, plan: Plan, report: Callable[[Progress], None], stop: Event) -> str | None:
        report(Progress(f"image {plan.job.image} ignored: runs on this host as {request.user_name()}"))
        free = [what for what in self._unlimited() if getattr(plan.job, what)]
        if free:
            report(Progress(f"no limit on {' and '.join(free)}: this user may not make control groups on this host"))
        return None

    def submit(self, plan: Plan, *, lifetime: timedelta | None) -> Handle:
        with translated(f"submit {plan.job_id}"):
            jobs.make(self._root, plan, lifetime)
            directory = self._root / plan.job_id
            if evidence.may_start(directory):
                self._start(directory)
            return Handle(plan.job_id, evidence.native_id(directory), plan.job.ranks)

    def status(self, handles: Collection[Handle]) -> Mapping[str, JobStatus]:
        with translated("read the state of jobs"):
            found = {handle.job_id: self._statuses.read(self._place(handle), handle.ranks) for handle in handles}
        return {job_id: status for job_id, status in found.items() if status is not None}

    def logs(self, handle: Handle, cursor: str = "", *, limit: int = LOG_LIMIT) -> LogChunk:
        directory = self._place(handle)
        with translated(f"read the output of {handle.job_id}"):
            try:
                over = evidence.is_over(directory, handle.ranks)
                offsets = logs.parse_cursor(cursor, handle.ranks)
                return logs.read_chunk(directory, offsets, limit=limit, over=over)
            except FileNotFoundError:
                return LogChunk(cursor=cursor)

    def cancel(self, handle: Handle, *, force: bool = False) -> None:
        directory = self._place(handle)
        with translated(f"cancel {handle.job_id}"), contextlib.suppress(FileNotFoundError):
            if not evidence.is_over(directory, handle.ranks):
                (directory / (layout.KILL if force else layout.CANCEL)).touch(mode=0o600)
                _ring(directory)

    def remove(self, handle: Handle) -> None:
        with translated(f"remove {handle.job_id}"):
            with contextlib.suppress(FileNotFoundError):
                self._end(handle)
            jobs.take_away(self._root, handle.job_id)

    def list_jobs(self) -> Collection[Found]:
        with translated("list the jobs"):
            jobs.sweep(self._root)
            return [
                Found(Handle(mark.job_id, evidence.native_id(directory), ranks), mark)
                for directory, mark, ranks in jobs.find(self._root, self.owner)
            ]

    def watch(self, wake: Callable[[str], None], stop: Event) -> None:
        with translated("watch the jobs"):
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            watch.watch(self._root, wake, stop)

    def probe(self) -> Health:
        return Health(reachable=True, version=f"{platform.system()} {platform.release()}", faults=tuple(self._faults()))

    def close(self) -> None:
        self._launcher.close()

    @property
    def _root(self) -> Path:
        """Where this owner's jobs are; those of others are never looked at."""
        return self.directory / self.owner

    def _start(self, directory: Path) -> None:
        """Start the job in *directory*; where that is refused, which is before anything of it ran, nothing of it stays."""
        try:
            self._launcher.start(directory)
        except RejectedError:
            jobs.take_away(self._root, directory.name)
            raise

    def _place(self, handle: Handle) -> Path:
        return self._root / handle.job_id

    def _end(self, handle: Handle) -> None:
        """Stop a job that is to be removed, by its supervisor if that still works."""
        directory = self._place(handle)
        if evidence.is_over(directory, handle.ranks):
            return
        self.cancel(handle, force=True)
        deadline = time.monotonic() + _END_SECONDS
        while layout.lock_holder(str(directory / layout.LOCK)) is not None:
            if time.monotonic() > deadline:
                raise UnavailableError(f"remove {handle.job_id}: its programs do not end; call again")
            time.sleep(0.005)
        evidence.end_leftovers(directory, layout.marker(self.owner, handle.job_id))

    def _unlimited(self) -> list[str]:
        limited = [controller for base in limits.bases() for controller in base.controllers]
        return [what for what in ("cpu", "memory") if what not in limited]

    def _faults(self) -> list[Fault]:
        faults = []
        if not (self.dev or self.allow_host_execution):
            faults.append(Fault("programs may not run on this host", "run with --dev, or set allow_host_execution"))
        place = next(path for path in (self.directory, *self.directory.parents) if os.path.exists(path))
        if not os.access(place, os.W_OK | os.X_OK):
            faults.append(Fault(f"{place} cannot be written", "give the daemon's user the directory"))
        return faults


def _ring(directory: Path) -> None:
    """Have the supervisor of a job look for requests."""
    with contextlib.suppress(ProcessLookupError):
        pid = layout.lock_holder(str(directory / layout.LOCK))
        if pid is not None:
            os.kill(pid, signal.SIGUSR1)
