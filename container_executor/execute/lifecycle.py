"""The life of a process, from its assignment to its last trace: :meth:`Life.live` reads from top to bottom.

Each step that another program could see is journaled before it is taken, so that a life goes on where a crash ended it.
:mod:`container_executor.execute.life` has the steps.
"""

import attrs

from container_executor.client import Process
from container_executor.execute.launch import Interrupt
from container_executor.execute.life import launches
from container_executor.execute.life.assignment import Assignment
from container_executor.execute.life.end import End, end_of
from container_executor.execute.life.ending import bring_out, clear_away, follow_again, leave, report
from container_executor.execute.life.ready import make_ready
from container_executor.execute.outcome import Outcome, failed
from container_executor.logs import Logger
from container_executor.models import FailureClass

log = Logger(__name__)

SYNCHRONISED = End(Outcome(succeeded=True, message="the directories are synchronised", exit_code=0))


@attrs.define(eq=False)
class Life:
    """The life of one attempt of a process.

    Attributes:
        ours: The attempt.
        earlier: The outcome of an earlier attempt whose close the server undid: it is closed again and not run again.
        closing: The server has been, or is being, told the outcome.
    """

    ours: Assignment
    earlier: Outcome | None = None
    closing: bool = False

    @property
    def key(self) -> tuple[str, int]:
        """The process and the attempt."""
        return self.ours.key

    @property
    def process(self) -> Process:
        """The process as the server gave it to us."""
        return self.ours.process

    @property
    def interrupt(self) -> Interrupt:
        """How others end it early."""
        return self.ours.interrupt

    async def live(self) -> None:
        """Take the process from where it is to its end."""
        ours = self.ours
        if self.earlier is None:
            ours.adopt_directories()  # before anybody else can take them
        try:
            end = await self._end()
            if not end.leaves_open(ours.process):
                end = await bring_out(ours, end)
            if open_still := end.leaves_open(ours.process):
                await leave(ours, end)
            else:
                self.closing = True
                await report(ours, end.outcome)
            await clear_away(ours, final=not open_still)
        finally:
            ours.directories.give_back()
            ours.site.ledger.give_back(ours.key)

    async def _end(self) -> End:
        if self.earlier is not None:
            return End(self.earlier)
        if (known := self.ours.steps.end) is not None:
            follow_again(self.ours)
            return known
        end = await self._run_guarded()
        self.ours.steps.ended(end)
        return end

    async def _run_guarded(self) -> End:
        """Run the process; whatever goes wrong here is its own failure and nobody else's."""
        try:
            return await self._run()
        except Exception as error:  # the one place: a fault in one life ends no other
            if end := end_of(error):
                return end
            log.exception("fault in the life of a process", process=self.process.id)
            return End(failed(FailureClass.EXECUTOR_INTERNAL, f"{type(error).__name__}: {error}"))

    async def _run(self) -> End:
        under_way = self.ours.steps.under_way
        if under_way is not None:
            return await launches.go_on(self.ours, under_way)
        job = await make_ready(self.ours)
        return SYNCHRONISED if job is None else await launches.run(self.ours, job)
