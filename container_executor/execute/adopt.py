"""What a start of the daemon does about everything that an earlier run had begun.

The journal says how far each process had come, the server whose it is now, the engine what runs. :func:`fate` decides;
``docs/restart.md`` shows the whole table.
"""

import enum
from collections.abc import Collection

import anyio
import attrs

from container_executor.client import Client, Process
from container_executor.errors import BackendError, ServerError, SpecError
from container_executor.execute.clock import now, wall
from container_executor.execute.engine import until_answered
from container_executor.execute.lives import Lives
from container_executor.execute.record import Record, Stage
from container_executor.funcspec import make_job, parse
from container_executor.logs import Logger
from container_executor.models import Found

log = Logger(__name__)

LONG = 10.0**9
PAUSE = 2.0


class Fate(enum.Enum):
    """What becomes of a journaled process."""

    RESUME = "resume"  # go on where the record ends
    REPORT = "report"  # ended, but the server has not been told
    CLEAR = "clear"  # remove what is left on the engine, stopping it first


def fate(record: Record, *, ours: bool) -> Fate:
    """Return what becomes of a process.

    Args:
        record: How far it had come.
        ours: The server has it running on us, in the same attempt.
    """
    if not ours:
        return Fate.CLEAR
    return Fate.REPORT if record.stage is Stage.CLOSED else Fate.RESUME


async def adopt(lives: Lives) -> None:
    """Take on, or clear away, everything of ours, before new work is asked for."""
    site, asked = lives.site, now()
    found = await until_answered(site.engine.list_jobs, until=None)
    running = {(process.id, process.attempt): process for process in await _running(site.client)}
    for record in site.journal.open_records():
        process = running.pop(record.key, None)
        match fate(record, ours=process is not None):
            case Fate.CLEAR:
                await _clear(lives, record, found)
            case Fate.REPORT if process is not None:
                lives.resume(process, attrs.evolve(record, stage=Stage.STAGED), asked=_long_ago(asked))
            case Fate.RESUME if process is not None:
                log.info("adopted", process=record.process_id, stage=record.stage)
                lives.resume(process, record, asked=_long_ago(asked))
    for process in running.values():
        log.info("taking on a process that the journal does not know", process=process.id)
        lives.resume(process, _recovered(process, found), asked=_long_ago(asked))


def _long_ago(asked: float) -> float:
    """Return a time before any assignment that may still be ours: the server's own clock decides."""
    return asked - LONG


async def _running(client: Client) -> Collection[Process]:
    while True:
        try:
            return await client.running_on(client.identity.id)
        except ServerError as error:
            log.warning("the server does not tell which processes are ours", error=str(error))
        await anyio.sleep(PAUSE)


async def _clear(lives: Lives, record: Record, found: Collection[Found]) -> None:
    """End what may be left of a process that is not ours any more."""
    job_ids = {record.handle.job_id} if record.handle else {record.job.job_id} if record.job else set[str]()
    handles = {job.handle.job_id: job.handle for job in found if job.handle.job_id in job_ids}
    if record.handle is not None:
        handles.setdefault(record.handle.job_id, record.handle)
    log.info("not ours any more; clearing away", process=record.process_id, stage=record.stage, jobs=list(handles))
    try:
        for handle in handles.values():
            await lives.site.engine.remove(handle)
    except BackendError as error:
        log.warning("the job's remains are left to the sweep", process=record.process_id, error=str(error))
    lives.site.journal.write(attrs.evolve(record, stage=Stage.DONE))


def _recovered(process: Process, found: Collection[Found]) -> Record:
    """Return a record of a process that the journal does not know, from what the engine shows.

    Without a job on the engine it begins anew. With one, that job is adopted; its output is read from its start.
    """
    jobs = [job for job in found if (job.mark.process_id, job.mark.attempt) == (process.id, process.attempt)]
    latest = max(jobs, key=lambda job: job.mark.launch, default=None)
    if latest is None:
        return Record(process.id, process.attempt, started=process.started)
    launch = latest.mark.launch
    begun = Record(process.id, process.attempt, started=process.started, launch=launch, base=launch)
    try:
        job = make_job(parse(process.spec, strict=False).spec, latest.mark)
    except SpecError:
        return begun
    submitted = (process.started or wall()).timestamp()
    return attrs.evolve(
        begun, base=launch - 1, stage=Stage.LAUNCHED, job=job, handle=latest.handle, submitted=submitted
    )
