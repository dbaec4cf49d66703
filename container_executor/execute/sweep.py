"""Removes what is ours on the engine and belongs to no process that is still going on.

Only objects that bear this owner's mark are ever looked at: those of another daemon, or of nobody, are not ours to judge.
"""

from collections.abc import Collection, Mapping

import anyio
import attrs

from container_executor.errors import BackendError
from container_executor.execute.clock import now
from container_executor.execute.engine import Engine
from container_executor.execute.journal import Journal
from container_executor.execute.record import Record, Stage
from container_executor.logs import Logger
from container_executor.models import Found

log = Logger(__name__)

ROUND = 300.0
"""Seconds between two sweeps."""
GRACE = 120.0
"""Seconds that something must be left over before it is removed: its process may be about to end by itself."""


def leftovers(found: Collection[Found], records: Collection[Record]) -> list[Found]:
    """Return what no open record needs, in order of name."""
    needed = {_job_id(record) for record in records if record.stage is not Stage.DONE}
    return sorted((job for job in found if job.handle.job_id not in needed), key=lambda job: job.handle.job_id)


def _job_id(record: Record) -> str:
    if record.handle is not None:
        return record.handle.job_id
    return record.job.job_id if record.job is not None else ""


@attrs.define(eq=False)
class Sweeper:
    """Sweeps while the daemon runs."""

    engine: Engine
    journal: Journal
    _since: Mapping[str, float] = attrs.field(factory=dict)

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            await anyio.sleep(ROUND)
            try:
                await self.sweep()
            except BackendError as error:
                log.warning("not swept", error=str(error))

    async def sweep(self) -> None:
        """Remove what has been left over for a while."""
        left = await find_leftovers(self.engine, self.journal)
        moment = now()
        self._since = {job.handle.job_id: self._since.get(job.handle.job_id, moment) for job in left}
        for job in left:
            if moment - self._since[job.handle.job_id] >= GRACE:
                log.info("removing what was left over", job=job.handle.job_id, native_id=job.handle.native_id)
                await self.engine.remove(job.handle)


async def find_leftovers(engine: Engine, journal: Journal) -> list[Found]:
    """Return what is ours on the engine and needed by nobody.

    The engine is asked before the journal is read: every job is journaled before it is submitted, so one that is new in
    between is not mistaken for a leftover.
    """
    found = await engine.list_jobs()
    return leftovers(found, list(journal.open_records()))
