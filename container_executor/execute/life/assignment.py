"""A process that the server gave us, and all that the steps of its life share."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio
import attrs

from container_executor.client import Process
from container_executor.errors import BackendError, Problem, SpecError
from container_executor.execute.clock import now
from container_executor.execute.decide import Why
from container_executor.execute.launch import Interrupt
from container_executor.execute.lease import Lease
from container_executor.execute.life.end import InterruptedLifeError
from container_executor.execute.life.steps import Steps
from container_executor.execute.output.forward import Forwarder
from container_executor.execute.output.sending import Sender
from container_executor.execute.site import Site
from container_executor.execute.staging.directories import Directories
from container_executor.funcspec import FunctionSpec, parse, substitute, validate
from container_executor.funcspec.model import EXECUTE, SYNC
from container_executor.logs import Logger
from container_executor.models import Mark

log = Logger(__name__)

T = TypeVar("T")


@attrs.define(eq=False)
class Assignment:
    """One attempt of a process that is ours.

    Attributes:
        site: What all processes share.
        process: The process as the server gave it to us.
        lease: How long it is ours.
        steps: How far it has come.
        interrupt: How others end it early.
        output: Its log on the server.
        directories: Those that its job sees; none before its spec was read.
        began: When this run of the daemon took it up, on the boot clock.
    """

    site: Site
    process: Process
    lease: Lease
    steps: Steps
    interrupt: Interrupt = attrs.field(factory=Interrupt)
    output: Forwarder = attrs.field(init=False)
    directories: Directories = attrs.field(init=False)
    began: float = attrs.field(factory=now)

    def __attrs_post_init__(self) -> None:
        """Open the process's log where it was left."""
        site = self.site
        self.directories = Directories(site.staging, self.key, None, self.tell)
        self.output = Forwarder(
            engine=site.engine,
            sender=Sender(
                site.client, self.process.id, self.steps.record.forwarded, self.steps.forwarded, site.senders
            ),
            limit=site.policy.log_cap,
            live=lambda: len(site.monitor.jobs),
            on_lost=site.check_leases,
        )

    @property
    def key(self) -> tuple[str, int]:
        """The process and the attempt."""
        return self.steps.record.key

    def spec(self) -> FunctionSpec:
        """Return what the user wants.

        Raises:
            SpecError: It cannot be had here.
        """
        spec = self._parsed()
        if spec.funcname not in (EXECUTE, SYNC):
            raise SpecError(Problem("funcname", f"{spec.funcname!r} is not served here; use {EXECUTE} or {SYNC}"))
        validate(spec, self.site.policy.limits)
        return substitute(spec, self.process.id)

    def _parsed(self) -> FunctionSpec:
        return parse(self.process.spec, strict=False).spec

    def mark(self, launch: int) -> Mark:
        """Return what a launch bears on the engine."""
        return Mark(self.site.owner, self.process.colony, self.process.id, self.process.attempt, launch)

    def name_directories(self, spec: FunctionSpec) -> None:
        """Have the directories of the spec, which nobody has taken or filled yet.

        Raises:
            SpecError: One of them cannot be had.
        """
        self.directories = Directories(self.site.staging, self.key, spec.fs, self.tell, stay=spec.funcname == SYNC)

    def adopt_directories(self) -> None:
        """Take the directories of a job that was launched before a restart, whatever the site's limits are now."""
        if self.steps.record.job is not None:
            self.name_directories(substitute(self._parsed(), self.process.id))
            self.directories.adopt()

    def tell(self, name: str, text: str) -> None:
        """Write a line of our own into the process's log; one whose *name* has been said before is not repeated."""
        self.output.say(name, text)
        self.site.tasks.start_soon(self.output.flush)

    async def unless_interrupted(self, step: Callable[[], Awaitable[T]]) -> T:
        """Await a step before the launch, unless somebody ends this life first or it is too late to launch anything.

        Raises:
            InterruptedLifeError: It was cut short.
        """
        with anyio.CancelScope(deadline=anyio.current_time() + self.lease.stop_at - now()) as scope:
            self.interrupt.attach(scope)
            return await step()
        raise InterruptedLifeError(self.interrupt.why or Why.LEASE)

    async def remove_job(self) -> None:
        """Remove the job from the engine. What cannot be removed now is left to the sweep."""
        handle = self.steps.record.handle
        if handle is None:
            return
        self.site.monitor.drop(handle)
        try:
            await self.site.engine.remove(handle)
        except BackendError as error:
            log.warning("the job's remains are left to the sweep", job=handle.job_id, error=str(error))
