"""Runs single jobs on a backend without a server: the library's way in.

The same launch, watch and verdict that the daemon uses; only the output goes to a callback instead of a server's log.
"""

from collections.abc import Callable
from datetime import timedelta

import anyio
import attrs

from container_executor.backend import Backend
from container_executor.errors import BackendError, UnavailableError
from container_executor.execute.clock import now
from container_executor.execute.decide import Times, Why
from container_executor.execute.engine import Engine, until_answered
from container_executor.execute.launch import Interrupt, Launch
from container_executor.execute.monitor import Monitor, Watched
from container_executor.execute.outcome import Outcome
from container_executor.execute.output.pace import CUT, last_silence
from container_executor.logs import Logger
from container_executor.models import Handle, JobSpec, LogLine, Progress

log = Logger(__name__)

OnLog = Callable[[LogLine], None]

STOP_PATIENCE = 60.0
"""Seconds that a cancelled call waits for its job to end before it gives it up to its lifetime."""
READ_PAUSE = 0.2


def run_job(
    backend: Backend,
    job: JobSpec,
    *,
    on_log: OnLog | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    lifetime: timedelta = timedelta(days=7),
) -> Outcome:
    """Run *job* to its end and return what became of it. An interrupt (Ctrl-C) stops the job first.

    Args:
        backend: Where it runs; :func:`~container_executor.open_backend` opens one.
        job: What is to run. Its mark's owner is replaced by the backend's.
        on_log: Called with each line of output, in order within a rank.
        on_progress: Called while the image is made ready, from another thread.
        lifetime: When the engine itself ends the job, whatever becomes of this program.

    Raises:
        SpecError: The job cannot run here.
        BackendError: The engine refused it, or did not answer.
    """
    return anyio.run(_run, backend, job, on_log, on_progress, lifetime)


async def run_job_async(
    backend: Backend,
    job: JobSpec,
    *,
    on_log: OnLog | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    lifetime: timedelta = timedelta(days=7),
) -> Outcome:
    """Do what :func:`run_job` does; cancelling the call stops the job, with its grace, and removes it."""
    return await _run(backend, job, on_log, on_progress, lifetime)


async def _run(
    backend: Backend,
    job: JobSpec,
    on_log: OnLog | None,
    on_progress: Callable[[Progress], None] | None,
    lifetime: timedelta,
) -> Outcome:
    job = attrs.evolve(job, mark=attrs.evolve(job.mark, owner=backend.owner))
    engine = Engine(backend)
    plan = backend.plan(job)
    pinned = await engine.prepare(plan, on_progress or _ignore)
    if pinned is not None:
        plan = backend.plan(attrs.evolve(job, image=pinned))
    interrupt, end = Interrupt(), now() + lifetime.total_seconds()
    engine_stop = end - job.grace.total_seconds()
    times = Times(
        grace=job.grace.total_seconds(),
        stop_at=engine_stop,
        engine_stop=engine_stop,
        walltime=job.walltime.total_seconds() if job.walltime else None,
    )
    refused: BackendError | None = None
    async with anyio.create_task_group() as tasks:
        monitor = Monitor(engine)
        tasks.start_soon(monitor.run)
        stop_watch = monitor.start_watch()
        launch = Launch(engine, monitor, plan, times, interrupt)
        try:
            return await _launch(launch, end, on_log)
        except BackendError as error:
            refused = error  # raised outside of the group, which would wrap it
        finally:
            stop_watch.set()
            tasks.cancel_scope.cancel()
    raise refused or RuntimeError("a task group does not swallow what its body returns")


async def _launch(launch: Launch, end: float, on_log: OnLog | None) -> Outcome:
    handle: Handle | None = None
    with anyio.CancelScope(shield=True):
        handle = await launch.submit(lease_end=end, until=end)
    if handle is None:
        raise RuntimeError("a shielded scope is not cancelled")
    watched = launch.attend(handle, submitted=now())
    try:
        reader = _Reader(launch.engine, watched, on_log)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(reader.read)
            outcome = await launch.ended()
            await reader.finish(last_silence(outcome.failure))
            tasks.cancel_scope.cancel()
            return outcome
        raise RuntimeError("a task group does not swallow what its body returns")
    except anyio.get_cancelled_exc_class():
        launch.interrupt.order(Why.ABORTED)
        with anyio.move_on_after(STOP_PATIENCE, shield=True):
            await launch.ended()
        raise
    finally:
        with anyio.move_on_after(STOP_PATIENCE, shield=True):
            await until_answered(lambda: launch.engine.remove(handle), until=now() + STOP_PATIENCE)


@attrs.define(eq=False)
class _Reader:
    """Reads the output of one job to its end."""

    engine: Engine
    watched: Watched
    on_log: OnLog | None
    heard: float = attrs.field(factory=now)
    done: anyio.Event = attrs.field(factory=anyio.Event)

    async def read(self) -> None:
        cursor = ""
        while True:
            try:
                chunk = await self.engine.logs(self.watched.handle, cursor, limit=262_144)
            except UnavailableError:
                await anyio.sleep(1.0)
                continue
            cursor = chunk.cursor
            self.heard = now() if chunk.lines else self.heard
            for line in chunk.lines:
                if self.on_log is not None:
                    self.on_log(line)
            if chunk.end:
                break
            if not chunk.lines:
                await self.watched.output.wait(READ_PAUSE)
        self.done.set()

    async def finish(self, patience: float) -> None:
        """Wait for the end of the output, until nothing has come for *patience* seconds."""
        self.heard = now()
        while not self.done.is_set():
            left = self.heard + patience - now()
            if left <= 0:
                log.warning(CUT, job=self.watched.handle.job_id)
                return
            with anyio.move_on_after(left):
                await self.done.wait()


def _ignore(_progress: Progress) -> None:
    pass
