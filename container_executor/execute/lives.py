"""All processes that are ours now, each with a task of its own that no other can take down."""

from collections.abc import Collection
from datetime import timedelta

import attrs

from container_executor.client import Process
from container_executor.execute.clock import Bell, now
from container_executor.execute.decide import Why
from container_executor.execute.lease import Lease, started_at
from container_executor.execute.life.assignment import Assignment
from container_executor.execute.life.ready import expect
from container_executor.execute.life.steps import Steps
from container_executor.execute.lifecycle import Life
from container_executor.execute.record import Record, Stage
from container_executor.execute.site import Site
from container_executor.execute.who import about, who_ran_what
from container_executor.logs import Logger

log = Logger(__name__)

Key = tuple[str, int]

NO_END = timedelta(days=7)
"""The lease of a process without ``maxexectime`` at a site that sets no longest walltime."""


@attrs.define(eq=False)
class Lives:
    """The processes that are ours.

    Attributes:
        site: What they share.
        ended: Rings when one has ended.
    """

    site: Site
    ended: Bell = attrs.field(factory=Bell)
    _live: dict[Key, Life] = attrs.field(factory=dict)
    _again: dict[Key, tuple[Process, float]] = attrs.field(factory=dict)

    def __len__(self) -> int:
        return len(self._live)

    def all(self) -> Collection[Life]:
        """Return the lives as they are now."""
        return tuple(self._live.values())

    def __contains__(self, key: Key) -> bool:
        return key in self._live

    def begin(self, process: Process, *, asked: float) -> None:
        """Take on a process that the server says is ours.

        A life that goes on already keeps on: its engine lifetime and its earlier end still count. One that is being ended
        because the process was lost ends first; the next launch follows.

        Args:
            process: As the server gave it to us.
            asked: The boot clock when the server was asked.
        """
        key = (process.id, process.attempt)
        life = self._live.get(key)
        if life is None:
            log.info("process assigned", **who_ran_what(self.site.name, process))
            self._start(process, self._record(process), asked)
        elif life.interrupt.why is Why.LOST:
            self._again[key] = (process, asked)

    def resume(self, process: Process, record: Record, *, asked: float) -> None:
        """Go on with a process that an earlier run of the daemon had begun."""
        self._start(process, record, asked)

    def order(self, why: Why) -> None:
        """Order every life to end."""
        for life in self.all():
            life.interrupt.order(why)

    def _record(self, process: Process) -> Record:
        record = self.site.journal.read(process.id, process.attempt)
        if record is not None and record.stage is not Stage.DONE:
            return attrs.evolve(record, started=process.started)
        base = record.launch if record else 0
        return Record(process.id, process.attempt, started=process.started, launch=base, base=base)

    def _start(self, process: Process, record: Record, asked: float) -> None:
        undone = self.site.journal.undone(process.id) if process.attempt else None
        ours = Assignment(self.site, process, self._lease(process, asked), Steps(self.site.journal, record))
        life = Life(ours, earlier=undone.outcome if undone else None)
        ours.steps.began()
        self._live[life.key] = life
        self.site.ledger.take_place(life.key)
        expect(ours)
        self.site.metrics.assigned.inc()
        self.site.metrics.live.set(len(self._live))
        self.site.tasks.start_soon(self._supervise, life)

    async def _supervise(self, life: Life) -> None:
        try:
            with about(life.process, life.ours.steps.record.handle):
                await life.live()
        except Exception:
            log.exception("fault at the end of a life; its process is left to its lease", process=life.process.id)
        finally:
            del self._live[life.key]
            self.site.ledger.give_back(life.key)
            self.site.metrics.live.set(len(self._live))
            self.ended.ring()
        if life.key in self._again:
            process, asked = self._again.pop(life.key)
            self.begin(process, asked=asked)

    def _lease(self, process: Process, asked: float) -> Lease:
        limit = self.site.policy.limits.walltime or NO_END
        length = process.spec.get("maxexectime")
        seconds = float(length) if isinstance(length, int) and length >= 0 else limit.total_seconds()
        moment = now()
        start = started_at(
            started=process.started, server_now=self.site.client.server_now(), now=moment, asked=min(asked, moment)
        )
        fs = process.spec.get("fs")
        staged = isinstance(fs, dict) and bool(fs.get("mount"))
        return Lease(start=start, length=seconds, staged=staged)
