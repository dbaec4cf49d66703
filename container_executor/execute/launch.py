"""One launch of a job, from the request to the evidence of its end.

The daemon and the library both run jobs through :class:`Launch`; what differs between them is who may interrupt it and where
the output goes.
"""

from collections.abc import Callable
from datetime import timedelta

import anyio
import attrs

from container_executor.errors import BackendError
from container_executor.execute.clock import Bell, now, wall
from container_executor.execute.decide import Act, Sight, Step, Stop, Times, Why, decide
from container_executor.execute.engine import Engine, until_answered
from container_executor.execute.monitor import Monitor, Watched
from container_executor.execute.outcome import Outcome, conclude, stopped_by_engine, vanished, waited_for
from container_executor.logs import Logger
from container_executor.models import Handle, JobState, JobStatus, Plan

log = Logger(__name__)

_URGENCY = (Why.ABORTED, Why.CANCELLED, Why.LOST)
_DATED = (Why.LEASE, Why.WALLTIME, Why.PENDING)
"""Reasons that come with time alone. After a restart, or after the daemon stood still, the job may long have ended or begun."""
LAST_LOOK = 2.0
"""Seconds that the engine may take to say once more how a job is before it is stopped."""


@attrs.define(eq=False)
class Interrupt:
    """How others tell a job's task to stop it.

    Attributes:
        why: The most urgent reason so far, or None.
        bell: Rings when there is a new one; the task waits at it for everything.
    """

    why: Why | None = None
    bell: Bell = attrs.field(factory=Bell)
    _scope: anyio.CancelScope | None = None

    def attach(self, scope: anyio.CancelScope) -> None:
        """Make *scope* what an order cancels, so that a step before the launch can be cut short."""
        self._scope = scope
        if self.why is not None:
            scope.cancel()

    def order(self, why: Why) -> None:
        """Order the stop, unless a more urgent one was ordered before."""
        if self.why is None or _URGENCY.index(why) > _URGENCY.index(self.why):
            self.why = why
            self.bell.ring()
            if self._scope is not None:
                self._scope.cancel()


@attrs.define(eq=False)
class Launch:
    """A job that was, or is about to be, handed to the engine.

    Attributes:
        engine: Where it runs.
        monitor: Who asks about it.
        plan: The request.
        times: When it must be stopped.
        interrupt: How others stop it.
        on_waiting: Told the engine's reason each time it changes while the job has not started.
        stop: The stop that was ordered, or that the engine made of itself, if any.
    """

    engine: Engine
    monitor: Monitor
    plan: Plan
    times: Times
    interrupt: Interrupt
    on_waiting: Callable[[str], None] = lambda _reason: None
    stop: Stop | None = None
    _watched: Watched | None = None
    _waiting: str = ""

    async def submit(self, *, lease_end: float | None, until: float | None) -> Handle:
        """Hand the job in, again and again until the engine answers.

        Args:
            lease_end: When the engine itself must have ended the job, on the boot clock.
            until: When to give up, on the boot clock.

        Raises:
            BackendError: The engine refused, or did not answer in time.
        """
        return await until_answered(
            lambda: self.engine.submit(self.plan, lease_end=lease_end),
            until=until,
            tell=lambda error: self.on_waiting(waited_for(error)),
        )

    def attend(self, handle: Handle, *, submitted: float) -> Watched:
        """Begin to watch the job; its output can be read from now on."""
        self._watched = self.monitor.add(handle, self.interrupt.bell, submitted=submitted)
        return self._watched

    async def ended(self) -> Outcome:
        """Watch the job to its end, stopping it when it must be; return the verdict."""
        watched = self._watched
        if watched is None:
            raise RuntimeError("attend the job first")
        while True:
            step = decide(now(), watched.sight, self.times, self.stop, self.interrupt.why)
            if step.act is Act.ENDED and watched.sight.status is not None:
                self.stop = self.stop or self._stop_of_engine(watched.sight.status)
                return conclude(watched.sight.status, self.stop, grace=timedelta(seconds=self.times.grace))
            if step.act is Act.VANISHED:
                return vanished()
            await self._do(step, watched)

    def _stop_of_engine(self, status: JobStatus) -> Stop | None:
        """Return the stop that the engine made of itself; it may be a moment ahead of ours, or we were not there."""
        at, seen = self.times.engine_stop, now()
        if at is None:
            return None
        moment = wall() + timedelta(seconds=at - seen)
        stopped = stopped_by_engine(status, moment if seen >= at else None)
        return Stop(Why.LEASE, at=at, wall=moment) if stopped else None

    async def _do(self, step: Step, watched: Watched) -> None:
        match step.act:
            case Act.STOP if step.why is not None:
                await self._stop(step.why, watched)
            case Act.FORCE if self.stop is not None:
                self.stop = attrs.evolve(self.stop, forced=now())
                await self._cancel(watched.handle, force=True)
            case Act.RELEASE:
                await self._release(watched)
            case _:
                self._tell_waiting(watched.sight)
                await watched.bell.wait(None if step.until is None else max(0.0, step.until - now()))

    async def _stop(self, why: Why, watched: Watched) -> None:
        """Stop the job, unless the engine says that the reason is gone: what was last seen may be older than it looks."""
        if why in _DATED:
            with anyio.move_on_after(LAST_LOOK):
                await self.monitor.look(watched)
            if decide(now(), watched.sight, self.times, None, self.interrupt.why).why is not why:
                return
        self.stop = _ordered(why, watched.sight)
        await self._cancel(watched.handle, force=why is Why.LOST)

    async def _cancel(self, handle: Handle, *, force: bool) -> None:
        log.info("stopping", job=handle.job_id, why=self.stop.why.value if self.stop else "", force=force)
        try:
            await self.engine.cancel(handle, force=force)
        except BackendError as error:
            log.warning("the engine did not take the stop; it will be sent again", job=handle.job_id, error=str(error))
        self.monitor.wake(handle.job_id)

    async def _release(self, watched: Watched) -> None:
        try:
            await self.engine.release(watched.handle)
        except BackendError as error:
            log.warning("the engine did not take the release", job=watched.handle.job_id, error=str(error))
            await watched.bell.wait(1.0)
            return
        watched.sight = attrs.evolve(watched.sight, started=watched.sight.started or now())
        self.monitor.wake(watched.handle.job_id)
        await watched.bell.wait(5.0)

    def _tell_waiting(self, sight: Sight) -> None:
        if sight.status is None or sight.status.state is not JobState.PENDING:
            return
        if sight.status.reason and sight.status.reason != self._waiting:
            self._waiting = sight.status.reason
            self.on_waiting(self._waiting)


def _ordered(why: Why, sight: Sight) -> Stop:
    status = sight.status
    return Stop(
        why=why,
        at=now(),
        wall=wall(),
        failed=status.failed_rank if status else None,
        waiting=status.reason if status else "",
        failure=status.failure if status else None,
    )
