"""The life of a process, from its assignment to its last trace. :meth:`Life.live` reads from top to bottom.

Each step that another program could see is journaled before it is taken, so that a life goes on where a crash ended it: a step
whose record is there is not taken again, and every step that may have been taken half is safe to take once more.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeVar

import anyio
import attrs

from container_executor.client import Process
from container_executor.errors import BackendError, Problem, ServerError, SpecError
from container_executor.execute.capacity import Need, fits, lacking
from container_executor.execute.clock import boot, now, wall
from container_executor.execute.close import Closer
from container_executor.execute.decide import Times, Why
from container_executor.execute.engine import until_answered
from container_executor.execute.forward import Forwarder
from container_executor.execute.journal import Forwarded, JournalError, Record, Stage
from container_executor.execute.launch import Interrupt, Launch
from container_executor.execute.lease import Lease, attempts_left
from container_executor.execute.outcome import Outcome, class_of, failed, output_of, stopped_early
from container_executor.execute.progress import Reporter
from container_executor.execute.site import Site
from container_executor.execute.staging import StagingError
from container_executor.execute.staging_life import Directories
from container_executor.execute.who import about_job, what_became, who_ran_what
from container_executor.funcspec import FunctionSpec, make_job, parse, substitute, validate
from container_executor.funcspec.model import EXECUTE, SYNC
from container_executor.logs import Logger
from container_executor.models import FailureClass, JobSpec, Mark

log = Logger(__name__)

T = TypeVar("T")

LAST_OUTPUT = 20.0
"""Seconds that the engine may give nothing, after the end of a job, before the rest of its output is given up."""
GONE_OUTPUT = 1.0
"""The same for a job that the engine does not have any more."""
AGAIN_PAUSE = 2.0
"""Seconds before another launch of an attempt that the engine did not start."""
NOT_CLOSED = (Why.LOST, Why.CANCELLED)


class InterruptedLifeError(Exception):
    """A step before the launch was cut short; :attr:`why` says by what."""

    def __init__(self, why: Why) -> None:
        super().__init__(why.value)
        self.why = why


class NoRoomError(Exception):
    """The job does not fit into the site, now or ever."""


@attrs.define(eq=False)
class Life:
    """One attempt of a process that is ours.

    Attributes:
        site: What all lives share.
        process: The process as the server gave it to us.
        record: How far it has come; replaced, and journaled, with each step.
        lease: How long it is ours.
        interrupt: How others end it early.
        earlier: The outcome of an earlier attempt whose close the server undid: it is closed again and not run again.
        began: When this life began, on the boot clock.
        closing: The server has been, or is being, told the outcome.
    """

    site: Site
    process: Process
    record: Record
    lease: Lease
    interrupt: Interrupt = attrs.field(factory=Interrupt)
    earlier: Outcome | None = None
    began: float = attrs.field(factory=now)
    closing: bool = False
    _forwarder: Forwarder = attrs.field(init=False)
    _directories: Directories = attrs.field(init=False)
    _stopped: Why | None = None
    _cleared: bool = False

    def __attrs_post_init__(self) -> None:
        """Open the process's log where it was left."""
        self._directories = Directories(self.site.staging, self.key, None, self._tell)
        self._forwarder = Forwarder(
            client=self.site.client,
            engine=self.site.engine,
            process_id=self.process.id,
            state=self.record.forwarded,
            save=self._save_forwarded,
            on_lost=self.site.check_leases,
            senders=self.site.senders,
            limit=self.site.policy.log_cap,
            live=lambda: len(self.site.monitor.jobs),
        )

    @property
    def key(self) -> tuple[str, int]:
        """The process and the attempt."""
        return self.record.key

    def expect(self) -> None:
        """Count what the job will take, before the next question for work could offer it to somebody else."""
        try:
            spec = self._spec()
            if spec.funcname != SYNC:
                self.site.ledger.expect(self.key, Need.of(make_job(spec, self._mark(1))))
        except SpecError:  # it takes nothing, and ends with its reason
            return

    async def live(self) -> None:
        """Take the process from where it is to its end."""
        self._adopt_directories()
        try:
            outcome = await self._outcome()
            left = self._leaves_open(outcome)
            if left:
                await self._leave(outcome)
            else:
                outcome = await self._bring_out(outcome)
                await self._report(outcome)
            await self._clear_away(final=not left)
        finally:
            self._directories.give_back()
            self.site.ledger.give_back(self.key)

    def _adopt_directories(self) -> None:
        """Take the directories of a job that was launched before a restart, before anybody else can."""
        if self.earlier is None and self.record.job is not None:
            self._directories = Directories(self.site.staging, self.key, self._spec().fs, self._tell)
            self._directories.adopt()

    # --- to an outcome ----------------------------------------------------------------------------------------------

    async def _outcome(self) -> Outcome:
        if self.earlier is not None:
            return self.earlier
        if self.record.outcome is not None:
            self._stopped = Why(self.record.stopped) if self.record.stopped else None
            self._follow_again()
            return self.record.outcome
        outcome = await self._run_guarded()
        self._note(stage=Stage.ENDED, outcome=outcome, stopped=self._stopped.value if self._stopped else "")
        return outcome

    def _follow_again(self) -> None:
        """Go on with the output of a job that had ended before a restart."""
        handle = self.record.handle
        if handle is not None and self.record.stage in (Stage.ENDED, Stage.STAGED):
            watched = self.site.monitor.add(handle, self.interrupt.bell, submitted=now())
            self._forwarder.start(self.site.tasks, watched, ranks=handle.ranks)

    async def _run_guarded(self) -> Outcome:
        """Run the process; whatever goes wrong here is its own failure and nobody else's."""
        try:
            return await self._run()
        except SpecError as error:
            return failed(FailureClass.INVALID_SPEC, str(error))
        except InterruptedLifeError as error:
            self._stopped = error.why
            return stopped_early(error.why)
        except NoRoomError as error:
            return failed(FailureClass.UNSCHEDULABLE, str(error))
        except BackendError as error:
            return failed(class_of(error), str(error))
        except JournalError as error:
            return failed(FailureClass.DISK_FULL, str(error))
        except StagingError as error:
            return failed(error.failure, str(error))
        except Exception as error:  # the one place: a fault in one life ends no other
            log.exception("fault in the life of a process", process=self.process.id)
            return failed(FailureClass.EXECUTOR_INTERNAL, f"{type(error).__name__}: {error}")

    async def _run(self) -> Outcome:
        spec = self._spec()
        if self.record.stage in (Stage.LAUNCHING, Stage.LAUNCHED) and self.record.job is not None:
            self.site.ledger.adopt(self.key, Need.of(self.record.job))
            return await self._launches(self.record.job)
        await self._unless_interrupted(self._greet)
        self._directories = Directories(self.site.staging, self.key, spec.fs, self._tell)
        self._directories.check()
        if spec.funcname == SYNC:
            await self._unless_interrupted(self._bring_in)
            return Outcome(succeeded=True, message="the directories are synchronised", exit_code=0)
        job = make_job(
            spec,
            self._mark(1),
            grace=timedelta(seconds=self.lease.grace),
            input=self.process.input,
            mounts=self._directories.mounts(),
        )
        self.site.engine.backend.plan(job)  # a spec that the engine cannot run ends here
        await self._unless_interrupted(lambda: self._admit(job))
        await self._unless_interrupted(self._bring_in)
        return await self._launches(await self._unless_interrupted(lambda: self._prepare(job)))

    async def _bring_in(self) -> None:
        await self._directories.take()
        await self._directories.bring_in()

    def _spec(self) -> FunctionSpec:
        parsed = parse(self.process.spec, strict=False)
        if parsed.spec.funcname not in (EXECUTE, SYNC):
            raise SpecError(
                Problem("funcname", f"{parsed.spec.funcname!r} is not served here; use {EXECUTE} or {SYNC}")
            )
        validate(parsed.spec, self.site.policy.limits)
        return substitute(parsed.spec, self.process.id)

    async def _greet(self) -> None:
        while True:
            try:
                await self._forwarder.begin()
                break
            except ServerError as error:
                log.warning("the server does not answer", process=self.process.id, error=str(error))
                await anyio.sleep(1.0)
        self._tell(
            "header",
            f"{self.site.name} runs this on {self.site.engine.backend.name}, attempt {self.process.attempt + 1}",
        )

    async def _admit(self, job: JobSpec) -> None:
        """Wait until the job fits. What was claimed for one rank may be too little for all of them."""
        need, ledger = Need.of(job), self.site.ledger
        if not fits(need, ledger.most()):
            raise NoRoomError(f"this site never has it: {lacking(need, ledger.most())}")
        deadline = now() + self.site.policy.admission
        while not ledger.try_promise(self.key, need):
            missing = lacking(need, ledger.free())
            self._tell("queued", f"queued: waits for {missing}")
            if now() >= deadline:
                raise NoRoomError(f"not free within {self.site.policy.admission:g} s: {missing}")
            await ledger.changed.wait(min(2.0, max(0.0, deadline - now())))

    async def _prepare(self, job: JobSpec) -> JobSpec:
        plan = self.site.engine.backend.plan(job)
        reporter = Reporter(self._tell)
        pinned = await until_answered(lambda: self.site.engine.prepare(plan, reporter), until=self.lease.stop_at)
        return job if pinned is None else attrs.evolve(job, image=pinned)

    async def _unless_interrupted(self, step: Callable[[], Awaitable[T]]) -> T:
        """Await a step before the launch, unless somebody ends this life first or it is too late to launch anything.

        Raises:
            InterruptedLifeError: It was cut short.
        """
        with anyio.CancelScope(deadline=anyio.current_time() + self.lease.stop_at - now()) as scope:
            self.interrupt.attach(scope)
            return await step()
        raise InterruptedLifeError(self.interrupt.why or Why.LEASE)

    # --- on the engine ----------------------------------------------------------------------------------------------

    async def _launches(self, job: JobSpec) -> Outcome:
        while True:
            outcome = await self._launch(job)
            if not self._again(outcome):
                return outcome
            self._tell(
                f"again-{self.record.launch}", f"launch {self.record.launch} failed: {outcome.reason}; trying again"
            )
            await self._forwarder.restart()
            await self._remove()
            self._note(stage=Stage.ASSIGNED, handle=None, job=None)
            await self._unless_interrupted(lambda: anyio.sleep(AGAIN_PAUSE))

    def _again(self, outcome: Outcome) -> bool:
        return (
            outcome.failure is not None
            and outcome.failure.retryable
            and self._stopped is None
            and self.record.launch - self.record.base < self.site.policy.launches
            and now() + AGAIN_PAUSE < self.lease.stop_at
        )

    async def _launch(self, job: JobSpec) -> Outcome:
        job = self._number(job)
        launch = Launch(
            engine=self.site.engine,
            monitor=self.site.monitor,
            plan=self.site.engine.backend.plan(job),
            times=self._times(job),
            interrupt=self.interrupt,
            on_waiting=lambda reason: self._tell(f"waiting: {reason}", f"waiting: {reason}"),
        )
        handle = self.record.handle
        if handle is None:
            if self.interrupt.why is not None or now() >= self.lease.stop_at:
                raise InterruptedLifeError(self.interrupt.why or Why.LEASE)
            try:
                handle = await launch.submit(lease_end=self.lease.end, until=self.lease.stop_at)
            except BackendError as error:
                return failed(class_of(error), str(error))
            moments = {"submitted": wall().timestamp(), "submitted_at": now(), "boot": boot()}
            self._note(stage=Stage.LAUNCHED, handle=handle, **moments)
            about_job(handle)
            log.info("launched", launch=self.record.launch)
        self.site.ledger.launched(self.key)
        watched = launch.attend(handle, submitted=self._submitted())
        self._forwarder.start(self.site.tasks, watched, ranks=handle.ranks)
        outcome = await launch.ended()
        self._stopped = launch.stop.why if launch.stop is not None and not outcome.succeeded else None
        return attrs.evolve(outcome, launch=self.record.launch)

    def _submitted(self) -> float:
        """Return when the job was submitted, on the boot clock; after a reboot only the time of day can tell."""
        if self.record.boot == boot():
            return self.record.submitted_at
        return now() - max(0.0, wall().timestamp() - self.record.submitted)

    def _number(self, job: JobSpec) -> JobSpec:
        """Take the launch number: the journaled one where a launch is under way, else the next."""
        if self.record.stage in (Stage.LAUNCHING, Stage.LAUNCHED) and self.record.job is not None:
            return self.record.job
        job = attrs.evolve(job, mark=self._mark(self.record.launch + 1))
        self._note(stage=Stage.LAUNCHING, launch=job.mark.launch, job=job)
        return job

    def _times(self, job: JobSpec) -> Times:
        return Times(
            grace=self.lease.grace,
            stop_at=self.lease.stop_at,
            walltime=job.walltime.total_seconds() if job.walltime else None,
            pending=self.site.policy.pending,
            deadline=self.lease.deadline,
        )

    def _mark(self, launch: int) -> Mark:
        return Mark(self.site.owner, self.process.colony, self.process.id, self.process.attempt, launch)

    # --- after the end ----------------------------------------------------------------------------------------------

    def _leaves_open(self, outcome: Outcome) -> bool:
        """Return whether the process is not closed: it is not ours to close, or the server gives it away once more."""
        if outcome.succeeded or self._stopped is None:
            return False
        maxretries = int(self.process.spec.get("maxretries") or 0)
        left = attempts_left(attempt=self.process.attempt, maxretries=maxretries)
        return self._stopped in NOT_CLOSED or (self._stopped is Why.LEASE and left)

    async def _leave(self, outcome: Outcome) -> None:
        """End our part in a process without closing it."""
        self._log_end("process left open", outcome, why=self._stopped)
        self.site.metrics.left.labels(why=self._stopped.value if self._stopped else "").inc()
        if self._stopped is not Why.LEASE:
            self._forwarder.abandon()
            return
        self._forwarder.say("left", f"{outcome.reason}; the server gives the process away again")
        with anyio.move_on_after(max(1.0, self.lease.deadline - now())):
            await self._forwarder.finish(LAST_OUTPUT)

    async def _bring_out(self, outcome: Outcome) -> Outcome:
        if self.record.stage is Stage.ENDED and self.record.handle is not None:
            outcome = await self._store_results(outcome)
            self._note(stage=Stage.STAGED, outcome=outcome)
        if not outcome.succeeded:
            self._forwarder.say("outcome", outcome.reason)
        if self._directories:
            with anyio.move_on_after(self.lease.end - now()):
                await self._clear_directories(final=True)
        return outcome

    async def _store_results(self, outcome: Outcome) -> Outcome:
        """Store what the job has left; failing at that fails a job that succeeded."""
        with anyio.CancelScope() as scope:
            if self.interrupt.why is None:
                self.interrupt.attach(scope)
            try:
                await self._directories.bring_out(self.lease.end - now())
            except StagingError as error:
                if not outcome.succeeded:
                    return attrs.evolve(outcome, message=f"{outcome.message}; {error}")
                return attrs.evolve(outcome, succeeded=False, failure=error.failure, message=str(error))
        return outcome

    async def _report(self, outcome: Outcome) -> None:
        if self.record.stage is Stage.CLOSED:
            return
        self.closing = True
        closer = Closer(self.site.client, self.process, self.lease)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._finish_output, outcome)
            tasks.start_soon(closer.attach, outcome)
        stood = await closer.close(outcome, output_of(outcome))
        self._note(stage=Stage.CLOSED if stood else Stage.UNDONE)
        self.site.metrics.closed.labels(outcome=outcome.failure.value if outcome.failure else "success").inc()
        self.site.metrics.run_seconds.observe(now() - self.began)
        self._log_end("process closed", outcome, stood=stood)

    async def _finish_output(self, outcome: Outcome) -> None:
        patience = GONE_OUTPUT if outcome.failure is FailureClass.VANISHED else LAST_OUTPUT
        await self._forwarder.finish(patience, until=max(self.lease.end, now() + GONE_OUTPUT))

    async def _clear_away(self, *, final: bool) -> None:
        await self._remove()
        await self._clear_directories(final=final)
        if self.record.stage is not Stage.UNDONE:
            self._note(stage=Stage.DONE)

    async def _clear_directories(self, *, final: bool) -> None:
        if self._directories and not self._cleared:
            if self._spec().funcname != SYNC:
                await self._directories.clear(final=final)
            self._directories.give_back()  # before the close: whoever hears of it may submit the next job for them at once
            self._cleared = True

    async def _remove(self) -> None:
        """Remove the job from the engine. What cannot be removed now is left to the sweep."""
        handle = self.record.handle
        if handle is None:
            return
        self.site.monitor.drop(handle)
        try:
            await self.site.engine.remove(handle)
        except BackendError as error:
            log.warning("the job's remains are left to the sweep", job=handle.job_id, error=str(error))

    # --- the record -------------------------------------------------------------------------------------------------

    def _note(self, **changes: Any) -> None:
        """Journal a step. A launch that cannot be journaled is not made; every other step goes on in memory alone."""
        self.record = attrs.evolve(self.record, **changes)
        try:
            self.site.journal.write(self.record)
        except JournalError as error:
            if self.record.stage is Stage.LAUNCHING:
                raise
            log.error("not journaled", process=self.process.id, stage=self.record.stage, error=str(error))

    def _log_end(self, event: str, outcome: Outcome, **fields: object) -> None:
        log.info(event, **who_ran_what(self.site.name, self.process), **what_became(outcome), **fields)

    def _tell(self, name: str, text: str) -> None:
        """Write a line of our own into the process's log."""
        self._forwarder.say(name, text)
        self.site.tasks.start_soon(self._forwarder.flush)

    def _save_forwarded(self, forwarded: Forwarded) -> None:
        self._note(forwarded=forwarded)
