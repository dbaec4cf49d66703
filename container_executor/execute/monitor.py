"""One task that asks the engine about all live jobs at once, and tells each job's own task when something changed.

A job that the engine's watch says has changed is asked about at once; all of them are asked about every few seconds, so that
a lost hint costs latency and nothing else.
"""

import asyncio
import threading
import time
from collections.abc import Mapping

import attrs

from container_executor.errors import BackendError
from container_executor.execute.clock import Bell, now, wall
from container_executor.execute.decide import Sight
from container_executor.execute.engine import Engine
from container_executor.logs import Logger
from container_executor.models import Handle, JobState, JobStatus

log = Logger(__name__)

ROUND = 2.0
"""Seconds between two questions about all jobs, stretched to :data:`LONG_ROUND` where many live."""
LONG_ROUND = 10.0
MANY = 100
BACK_OFF_LIMIT = 15.0


@attrs.define(eq=False)
class Watched:
    """A launched job as the monitor sees it.

    Attributes:
        handle: The job.
        sight: What is known of it; replaced with each answer.
        bell: Rings when *sight* changed, and for whatever else its task waits for.
        output: Rings when there may be new output.
    """

    handle: Handle
    sight: Sight
    bell: Bell
    output: Bell = attrs.field(factory=Bell)

    def answer(self, status: JobStatus | None) -> None:
        """Take the engine's answer, None where it does not have the job."""
        before = self.sight
        if status is None:
            since = before.denied_since if before.denials else now()
            self.sight = attrs.evolve(before, status=None, denials=before.denials + 1, denied_since=since)
        else:
            started = before.started or _started(status, before.submitted)
            self.sight = attrs.evolve(before, status=status, denials=0, started=started)
        if self.sight != before:
            self.bell.ring()
            self.output.ring()


_NOT_STARTED = (JobState.PENDING, JobState.HELD)


def _started(status: JobStatus, submitted: float) -> float | None:
    """Return when the job started, on the boot clock: the engine's own time counts, so that a restart does not renew a walltime."""
    if status.state in _NOT_STARTED:
        return None
    told = min((rank.started for rank in status.ranks if rank.started), default=None)
    age = (wall() - told).total_seconds() if told else 0.0
    return min(now(), max(submitted, now() - age))


@attrs.define(eq=False)
class Monitor:
    """Asks for all live jobs.

    Attributes:
        engine: Whom it asks.
        jobs: The live jobs, by job id.
        unanswered_since: Since when the engine has not answered, on the boot clock; None while it does.
    """

    engine: Engine
    jobs: dict[str, Watched] = attrs.field(factory=dict)
    unanswered_since: float | None = None
    _dirty: set[str] = attrs.field(factory=set)
    _bell: Bell = attrs.field(factory=Bell)
    _failures: int = 0
    _next_round: float = 0.0

    def add(self, handle: Handle, bell: Bell, *, submitted: float) -> Watched:
        """Begin to ask about a job."""
        watched = Watched(handle, Sight(status=None, submitted=submitted), bell)
        self.jobs[handle.job_id] = watched
        self.wake(handle.job_id)
        return watched

    def drop(self, handle: Handle) -> None:
        """Ask about a job no more."""
        self.jobs.pop(handle.job_id, None)

    def wake(self, job_id: str) -> None:
        """Note that something about a job may have changed: ask at once."""
        watched = self.jobs.get(job_id)
        if watched is not None:
            watched.output.ring()
            self._dirty.add(job_id)
            self._bell.ring()

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            await self._bell.wait(max(0.0, self._next_round - now()))
            await self._ask()

    async def _ask(self) -> None:
        asked = self._due()
        if not asked:
            return
        try:
            answers = await self.engine.status([watched.handle for watched in asked])
        except BackendError as error:
            await self._no_answer(asked, error)
        else:
            self._failures, self.unanswered_since = 0, None
            self._tell(asked, answers)

    async def look(self, watched: Watched) -> None:
        """Ask about one job now; without an answer, what is known of it stays."""
        try:
            answers = await self.engine.status([watched.handle])
        except BackendError as error:
            log.warning("engine does not answer", backend=self.engine.backend.name, error=str(error))
        else:
            self._tell([watched], answers)

    def _due(self) -> list[Watched]:
        if now() >= self._next_round:
            self._next_round = now() + (ROUND if len(self.jobs) <= MANY else LONG_ROUND)
            self._dirty.clear()
            return list(self.jobs.values())
        dirty, self._dirty = self._dirty, set()
        return [self.jobs[job_id] for job_id in dirty if job_id in self.jobs]

    def _tell(self, asked: list[Watched], answers: Mapping[str, JobStatus]) -> None:
        for watched in asked:
            watched.answer(answers.get(watched.handle.job_id))

    async def _no_answer(self, asked: list[Watched], error: BackendError) -> None:
        self._failures += 1
        self.unanswered_since = self.unanswered_since or now()
        log.warning("engine does not answer", backend=self.engine.backend.name, error=str(error), jobs=len(self.jobs))
        self._dirty.update(watched.handle.job_id for watched in asked)
        await asyncio.sleep(min(BACK_OFF_LIMIT, 0.25 * 2**self._failures))

    def start_watch(self) -> threading.Event:
        """Start the thread in which the backend's ``watch`` waits; setting the event that is returned ends it."""
        stop = threading.Event()
        loop = asyncio.get_running_loop()
        threading.Thread(target=self._watch, args=(loop, stop), name="watch", daemon=True).start()
        return stop

    def _watch(self, loop: asyncio.AbstractEventLoop, stop: threading.Event) -> None:
        while not stop.is_set():
            began = time.monotonic()
            try:
                self.engine.backend.watch(lambda job_id: self._wake_from_thread(loop, job_id), stop)
            except Exception:  # a hint that fails costs latency, and must not cost more
                log.exception("watch ended; it starts again", backend=self.engine.backend.name)
            stop.wait(max(0.1, 5.0 - (time.monotonic() - began)))

    def _wake_from_thread(self, loop: asyncio.AbstractEventLoop, job_id: str) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(self.wake, job_id)
