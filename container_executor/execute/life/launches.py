"""The launches of one attempt: the next follows where the engine, not the job, failed and there is time for it."""

import anyio
import attrs

from container_executor.errors import BackendError
from container_executor.execute.capacity import Need
from container_executor.execute.clock import now
from container_executor.execute.decide import Times, Why
from container_executor.execute.launch import Launch
from container_executor.execute.life.assignment import Assignment
from container_executor.execute.life.end import End, InterruptedLifeError
from container_executor.execute.outcome import class_of, failed
from container_executor.execute.who import about_job
from container_executor.logs import Logger
from container_executor.models import Handle, JobSpec

log = Logger(__name__)

AGAIN_PAUSE = 2.0
"""Seconds before another launch of an attempt that the engine did not start."""


async def go_on(ours: Assignment, job: JobSpec) -> End:
    """Go on with a launch that was under way before a restart; see :func:`run`."""
    ours.site.ledger.adopt(ours.key, Need.of(job))
    return await run(ours, job)


async def run(ours: Assignment, job: JobSpec) -> End:
    """Run the job to its end, launching it again where that may help.

    Raises:
        JournalError: A launch could not be journaled, and was not made.
        InterruptedLifeError: Somebody ended it before it was launched.
    """
    while True:
        end = await _run_once(ours, ours.steps.under_way or _numbered(ours, job))
        if not _may_help(ours, end):
            return end
        launch = ours.steps.record.launch
        ours.tell(f"again-{launch}", f"launch {launch} failed: {end.outcome.reason}; trying again")
        await ours.output.restart()
        await ours.remove_job()
        ours.steps.launch_failed()
        await ours.unless_interrupted(lambda: anyio.sleep(AGAIN_PAUSE))


def _numbered(ours: Assignment, job: JobSpec) -> JobSpec:
    """Take the next launch number."""
    job = attrs.evolve(job, mark=ours.mark(ours.steps.record.launch + 1))
    ours.steps.launching(job)
    return job


def _may_help(ours: Assignment, end: End) -> bool:
    failure = end.outcome.failure
    return (
        failure is not None
        and failure.retryable
        and end.stopped is None
        and ours.steps.launches < ours.site.policy.launches
        and now() + AGAIN_PAUSE < ours.lease.stop_at
    )


async def _run_once(ours: Assignment, job: JobSpec) -> End:
    launch = _launch(ours, job)
    try:
        handle = ours.steps.record.handle or await _submit(ours, launch)
    except BackendError as error:
        return End(failed(class_of(error), str(error)))
    ours.site.ledger.launched(ours.key)
    watched = launch.attend(handle, submitted=ours.steps.submitted)
    ours.output.start(ours.site.tasks, watched, ranks=handle.ranks)
    outcome = await launch.ended()
    stopped = launch.stop.why if launch.stop is not None and not outcome.succeeded else None
    return End(attrs.evolve(outcome, launch=ours.steps.record.launch), stopped)


def _launch(ours: Assignment, job: JobSpec) -> Launch:
    engine = ours.site.engine
    return Launch(
        engine=engine,
        monitor=ours.site.monitor,
        plan=engine.backend.plan(job),
        times=_times(ours, job),
        interrupt=ours.interrupt,
        on_waiting=lambda reason: ours.tell(f"waiting: {reason}", f"waiting: {reason}"),
    )


def _times(ours: Assignment, job: JobSpec) -> Times:
    return Times(
        grace=ours.lease.grace,
        stop_at=ours.lease.stop_at,
        walltime=job.walltime.total_seconds() if job.walltime else None,
        pending=ours.site.policy.pending,
        deadline=ours.lease.deadline,
        engine_stop=ours.lease.engine_stop,
    )


async def _submit(ours: Assignment, launch: Launch) -> Handle:
    if ours.interrupt.why is not None or now() >= ours.lease.stop_at:
        raise InterruptedLifeError(ours.interrupt.why or Why.LEASE)
    handle = await launch.submit(lease_end=ours.lease.end, until=ours.lease.stop_at)
    ours.steps.launched(handle)
    about_job(handle)
    log.info("launched", launch=ours.steps.record.launch)
    return handle
