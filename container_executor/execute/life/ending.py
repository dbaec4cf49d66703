"""After the end of a job: its results out, its log finished, the server told, and its traces removed."""

import anyio
import attrs

from container_executor.execute.clock import now
from container_executor.execute.close import Closer
from container_executor.execute.decide import Why
from container_executor.execute.life.assignment import Assignment
from container_executor.execute.life.end import End
from container_executor.execute.outcome import Outcome, output_of, spoiled, stopped_while_storing
from container_executor.execute.output.pace import GONE_OUTPUT, LAST_OUTPUT, last_silence
from container_executor.execute.record import Stage
from container_executor.execute.staging.errors import StagingError
from container_executor.execute.who import what_became, who_ran_what
from container_executor.logs import Logger
from container_executor.models import FailureClass

log = Logger(__name__)


def follow_again(ours: Assignment) -> None:
    """Go on with the output of a job that had ended before a restart."""
    record = ours.steps.record
    if record.handle is not None and record.stage in (Stage.ENDED, Stage.STAGED):
        watched = ours.site.monitor.add(record.handle, ours.interrupt.bell, submitted=now())
        ours.output.start(ours.site.tasks, watched, ranks=record.handle.ranks)


async def leave(ours: Assignment, end: End) -> None:
    """End our part in a process without closing it."""
    why = end.stopped.value if end.stopped else ""
    _log_end(ours, "process left open", end.outcome, why=why)
    ours.site.metrics.left.labels(why=why).inc()
    if end.stopped is not Why.LEASE:
        ours.output.abandon()
        return
    ours.output.say("left", f"{end.outcome.reason}; the server gives the process away again")
    with anyio.move_on_after(max(1.0, ours.lease.deadline - now())):
        await ours.output.finish(LAST_OUTPUT)


async def bring_out(ours: Assignment, end: End) -> End:
    """Store what the job has left, once; return the end, which that may have changed."""
    if ours.steps.record.stage is Stage.ENDED and ours.steps.record.handle is not None:
        end = await _store_results(ours, end)
        if end.leaves_open(ours.process):
            return end
        ours.steps.staged(end.outcome)
    if ours.directories:
        with anyio.move_on_after(ours.lease.end - now()):
            # before the close: whoever hears of it may submit the next job for them at once
            await ours.directories.leave(final=True)
    return end


async def _store_results(ours: Assignment, end: End) -> End:
    """Store what the job has left; failing at that, or being stopped meanwhile, fails a job that succeeded."""
    with anyio.CancelScope() as scope:
        if ours.interrupt.why is None:
            ours.interrupt.attach(scope)
        try:
            await ours.directories.bring_out(ours.lease.end - now())
        except StagingError as error:
            return attrs.evolve(end, outcome=spoiled(end.outcome, error.failure, str(error)))
        except Exception as error:  # a fault of this program must not keep the process open until its lease ends
            log.exception("fault while results are stored", process=ours.process.id)
            words = f"{type(error).__name__}: {error}"
            return attrs.evolve(end, outcome=spoiled(end.outcome, FailureClass.EXECUTOR_INTERNAL, words))
    if scope.cancelled_caught and ours.interrupt.why is not None:
        return End(stopped_while_storing(ours.interrupt.why, end.outcome), ours.interrupt.why)
    return end


async def report(ours: Assignment, outcome: Outcome) -> None:
    """Finish the log and close the process, unless the server knows already."""
    if ours.steps.record.stage is Stage.CLOSED:
        return
    closer = Closer(ours.site.client, ours.process, ours.lease)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_finish_output, ours, outcome)
        tasks.start_soon(closer.attach, outcome)
    stood = await closer.close(outcome, output_of(outcome))
    ours.steps.closed(stood=stood)
    ours.site.metrics.closed.labels(outcome=outcome.failure.value if outcome.failure else "success").inc()
    ours.site.metrics.run_seconds.observe(now() - ours.began)
    _log_end(ours, "process closed", outcome, stood=stood)


async def _finish_output(ours: Assignment, outcome: Outcome) -> None:
    """Send the rest of the output, and after it why the process failed."""
    await ours.output.finish(last_silence(outcome.failure), until=max(ours.lease.end, now() + GONE_OUTPUT))
    if not outcome.succeeded:
        ours.output.say("outcome", outcome.reason)
        await ours.output.flush()


async def clear_away(ours: Assignment, *, final: bool) -> None:
    """Remove what is left of the job; where its process has ended for good (*final*), its snapshots too."""
    await ours.remove_job()
    await ours.directories.leave(final=final)
    ours.steps.done()


def _log_end(ours: Assignment, event: str, outcome: Outcome, **fields: object) -> None:
    log.info(event, **who_ran_what(ours.site.name, ours.process), **what_became(outcome), **fields)
