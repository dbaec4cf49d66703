"""From the spec of a process to a job that can be launched: planned, admitted, its directories filled, its image there."""

from datetime import timedelta

import anyio
import attrs

from container_executor.errors import ServerError, SpecError
from container_executor.execute.capacity import Need, fits, lacking
from container_executor.execute.clock import now
from container_executor.execute.engine import until_answered
from container_executor.execute.life.assignment import Assignment
from container_executor.execute.life.end import NoRoomError
from container_executor.execute.outcome import class_of, waited_for
from container_executor.execute.progress import Reporter
from container_executor.execute.room import AGE, look
from container_executor.funcspec import FunctionSpec, make_job
from container_executor.funcspec.model import SYNC
from container_executor.logs import Logger
from container_executor.models import JobSpec

log = Logger(__name__)

FIRST = 1
"""The launch that a job is planned for before its launch number is taken."""
PAUSE = 1.0
"""Seconds before a server that did not answer the first question about a process's log is asked again."""


def expect(ours: Assignment) -> None:
    """Count what the job will take, before the next question for work could offer it to somebody else."""
    try:
        spec = ours.spec()
        if spec.funcname != SYNC:
            ours.site.ledger.expect(ours.key, Need.of(make_job(spec, ours.mark(FIRST))))
    except SpecError:  # it takes nothing, and ends with its reason
        return


async def make_ready(ours: Assignment) -> JobSpec | None:
    """Return the job, None where the process asks for its directories alone and has them now.

    Raises:
        SpecError: It cannot run here.
        NoRoomError: It does not fit.
        StagingError: Its directories could not be filled.
        BackendError: Its image cannot be had.
        InterruptedLifeError: Somebody ended it first.
    """
    spec = ours.spec()
    await ours.unless_interrupted(lambda: _greet(ours))
    ours.name_directories(spec)
    ours.directories.check()
    if spec.funcname == SYNC:
        await ours.unless_interrupted(lambda: _bring_in(ours))
        return None
    job = _job(ours, spec)
    ours.site.engine.backend.plan(job)  # a spec that the engine cannot run ends here
    await ours.unless_interrupted(lambda: _admit(ours, job))
    await ours.unless_interrupted(lambda: _bring_in(ours))
    return await ours.unless_interrupted(lambda: _with_image(ours, job))


async def _greet(ours: Assignment) -> None:
    while True:
        try:
            await ours.output.sender.begin()
            break
        except ServerError as error:
            log.warning("the server does not answer", process=ours.process.id, error=str(error))
            await anyio.sleep(PAUSE)
    site = ours.site
    ours.tell("header", f"{site.name} runs this on {site.engine.backend.name}, attempt {ours.process.attempt + 1}")


def _job(ours: Assignment, spec: FunctionSpec) -> JobSpec:
    return make_job(
        spec,
        ours.mark(FIRST),
        grace=timedelta(seconds=ours.lease.grace),
        input=ours.process.input,
        mounts=ours.directories.mounts(),
    )


async def _admit(ours: Assignment, job: JobSpec) -> None:
    """Wait until the job fits. What was claimed for one rank may be too little for all of them."""
    need, ledger, patience = Need.of(job), ours.site.ledger, ours.site.policy.admission
    deadline = now() + patience
    while True:
        if not fits(need, ledger.most()):
            raise NoRoomError(f"this site never has it: {lacking(need, ledger.most())}")
        if ledger.try_promise(ours.key, need):
            return
        missing = lacking(need, ledger.free())
        ours.tell("queued", f"queued: waits for {missing}")
        if now() >= deadline:
            raise NoRoomError(f"not free within {patience:g} s: {missing}")
        await ledger.changed.wait(min(AGE, max(0.0, deadline - now())))
        await look(ours.site)  # also others may have given back, and we may have asked just before a job of ours ended


async def _bring_in(ours: Assignment) -> None:
    await ours.directories.take()
    await ours.directories.bring_in()


async def _with_image(ours: Assignment, job: JobSpec) -> JobSpec:
    engine = ours.site.engine
    plan, reporter = engine.backend.plan(job), Reporter(ours.tell)
    pinned = await until_answered(
        lambda: engine.prepare(plan, reporter),
        until=ours.lease.stop_at,
        tell=lambda error: ours.tell(f"image: {class_of(error)}", f"waiting: {waited_for(error)}"),
    )
    return job if pinned is None else attrs.evolve(job, image=pinned)
