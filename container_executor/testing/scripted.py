r"""A backend whose jobs are small programs in memory, for testing what stands above the contract.

A program is a generator function. What it yields is what it does, what it returns is its exit code::

    def checkpoint(rank: Rank) -> Program:
        yield f"rank {rank.number} begins\n".encode()
        try:
            yield go_on            # a threading.Event: waits until the test sets it
        except Terminated:
            yield b"checkpoint written\n"
            return 143
        return 0

    engine = ScriptedEngine(lambda job: Script(checkpoint, lost_replies=1))
    backend = ScriptedBackend(owner="0123456789abcdef", engine=engine)

Nothing runs by itself: each call first lets every program do all it can. So there are no threads and no sleeps, and a test
decides with events what happens when. Several backends on one engine are several daemons on one site.
"""

import time
from collections.abc import Callable, Collection, Mapping
from datetime import timedelta
from threading import Event, RLock
from typing import ClassVar

import attrs

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
    rank_env,
)
from container_executor.testing.programs import Script, ScriptedJob


def _succeed(_job: JobSpec) -> Script:
    return Script()


def _do_nothing(_call: str, _job_id: str) -> None:
    pass


@attrs.define(eq=False)
class ScriptedEngine:
    """What the scripted backends of a test share: the jobs, and the faults of the whole site.

    Attributes:
        script: Gives the script of a job when it is first asked for.
        available: While False, every call that needs the engine raises UnavailableError.
        before: Called at the start of every such call with its name and the job id ("" where there is none): it may
            count, wait (a slow call) or raise (a fault of one call).
        capacity: What ``capacity`` returns.
        total: What ``total`` returns.
        launches: The job ids whose programs were started, in order: one that is twice in it ran twice.
    """

    script: Callable[[JobSpec], Script] = attrs.field(default=_succeed)
    available: bool = True
    before: Callable[[str, str], None] = attrs.field(default=_do_nothing)
    capacity: Capacity | None = None
    total: Capacity | None = None
    launches: list[str] = attrs.field(factory=list)
    _scripts: dict[str, Script] = attrs.field(factory=dict, init=False)
    _tries: dict[tuple[str, str], int] = attrs.field(factory=dict, init=False)
    jobs: dict[str, ScriptedJob] = attrs.field(factory=dict, init=False)
    watchers: list[Callable[[str], None]] = attrs.field(factory=list, init=False)
    lock: RLock = attrs.field(factory=RLock, init=False)

    def wake(self, job_id: str) -> None:
        """Tell everybody who watches that something changed."""
        for watcher in tuple(self.watchers):
            watcher(job_id)

    def script_of(self, job: JobSpec) -> Script:
        """Return the script of a job: the same one at every call."""
        with self.lock:
            if job.job_id not in self._scripts:
                self._scripts[job.job_id] = self.script(job)
            return self._scripts[job.job_id]

    def enter(self, call: str, job_id: str = "") -> None:
        self.before(call, job_id)
        if not self.available:
            raise UnavailableError("the scripted engine is switched off; set available to True")

    def count(self, call: str, job_id: str) -> int:
        """Count the calls of one kind for one job, from 0."""
        with self.lock:
            count = self._tries.get((call, job_id), 0)
            self._tries[call, job_id] = count + 1
            return count

    def find(self, job_id: str, owner: str) -> ScriptedJob | None:
        job = self.jobs.get(job_id)
        if job is None or job.plan.job.mark.owner != owner or job.script.gone.is_set():
            return None
        job.advance()
        return job

    def accept(self, plan: Plan, lifetime: timedelta | None) -> Handle:
        known = self.jobs.get(plan.job_id)
        if known is None:
            ends_at = time.monotonic() + lifetime.total_seconds() if lifetime is not None else float("inf")
            known = self.jobs[plan.job_id] = ScriptedJob(plan, self.script_of(plan.job), ends_at)
            self.launches.append(plan.job_id)
        elif known.plan.job.mark != plan.job.mark:
            raise RejectedError(f"{plan.job_id}: the engine has a job of this name that belongs to somebody else")
        return known.handle


@attrs.define(eq=False)
class ScriptedBackend(Backend):
    """A daemon's view of a :class:`ScriptedEngine`; see this module."""

    name: ClassVar[str] = "scripted"

    owner: str = "5c0ffee5"
    engine: ScriptedEngine = attrs.field(factory=ScriptedEngine)

    def plan(self, job: JobSpec) -> Plan:
        env = {str(rank): dict(sorted(rank_env(job, rank).items())) for rank in range(job.ranks)}
        return Plan(job, {"name": job.job_id, "image": job.image, "argv": list(job.argv), "env": env})

    def prepare(self, plan: Plan, report: Callable[[Progress], None], stop: Event) -> str | None:
        self.engine.enter("prepare", plan.job_id)
        script = self.engine.script_of(plan.job)
        failed = self.engine.count("prepare", plan.job_id)
        if failed < len(script.prepare_errors):
            raise script.prepare_errors[failed]
        for progress in script.progress:
            report(progress)
        while not script.prepared.wait(0.01):
            if stop.is_set():
                return None
        return script.pinned

    def submit(self, plan: Plan, *, lifetime: timedelta | None) -> Handle:
        self.engine.enter("submit", plan.job_id)
        script = self.engine.script_of(plan.job)
        tried = self.engine.count("submit", plan.job_id)
        if tried < len(script.submit_errors):
            raise script.submit_errors[tried]
        with self.engine.lock:
            handle = self.engine.accept(plan, lifetime)
        if tried < len(script.submit_errors) + script.lost_replies:
            raise UnavailableError("the reply was lost on the way; the scripted engine has the job")
        return handle

    def status(self, handles: Collection[Handle]) -> Mapping[str, JobStatus]:
        self.engine.enter("status")
        with self.engine.lock:
            jobs = {handle.job_id: self.engine.find(handle.job_id, self.owner) for handle in handles}
            return {job_id: job.status() for job_id, job in jobs.items() if job is not None}

    def logs(self, handle: Handle, cursor: str = "", *, limit: int = LOG_LIMIT) -> LogChunk:
        self.engine.enter("logs", handle.job_id)
        with self.engine.lock:
            job = self.engine.find(handle.job_id, self.owner)
            return job.chunk(int(cursor or 0), limit) if job else LogChunk(cursor=cursor)

    def cancel(self, handle: Handle, *, force: bool = False) -> None:
        self.engine.enter("cancel", handle.job_id)
        with self.engine.lock:
            job = self.engine.find(handle.job_id, self.owner)
            if job is not None:
                job.cancel(force=force)

    def remove(self, handle: Handle) -> None:
        self.engine.enter("remove", handle.job_id)
        with self.engine.lock:
            job = self.engine.find(handle.job_id, self.owner)
            if job is not None:
                job.cancel(force=True)
                del self.engine.jobs[handle.job_id]

    def list_jobs(self) -> Collection[Found]:
        self.engine.enter("list_jobs")
        with self.engine.lock:
            found = [self.engine.find(job_id, self.owner) for job_id in self.engine.jobs]
            return [Found(job.handle, job.plan.job.mark) for job in found if job is not None]

    def release(self, handle: Handle) -> None:
        self.engine.enter("release", handle.job_id)
        with self.engine.lock:
            job = self.engine.find(handle.job_id, self.owner)
            if job is not None:
                job.released = True

    def watch(self, wake: Callable[[str], None], stop: Event) -> None:
        self.engine.watchers.append(wake)
        stop.wait()
        self.engine.watchers.remove(wake)

    def capacity(self) -> Capacity | None:
        self.engine.enter("capacity")
        return self.engine.capacity

    def total(self) -> Capacity | None:
        self.engine.enter("total")
        return self.engine.total

    def probe(self) -> Health:
        if self.engine.available:
            return Health(reachable=True, version="scripted")
        fault = Fault("the scripted engine is switched off", "set available to True")
        return Health(reachable=False, faults=(fault,))
