"""The one thread that touches the database, and group commit: calls that wait together are committed together.

A call is answered only after the commit of its batch. While the disk works, the next batch gathers.
"""

import asyncio
import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

import attrs

from container_executor.server.call import Effect
from container_executor.server.refusal import Refused
from container_executor.server.schema import Durability, FileLock, connect, database_file

log = logging.getLogger(__name__)

T = TypeVar("T")

LARGEST_BATCH = 512

INTERNAL = "internal error: the call was not done; the server's log says why"


@attrs.define(eq=False)
class Job(Generic[T]):
    """Work for the database's thread: gets the connection and a time, returns a value and effects."""

    work: Callable[[sqlite3.Connection, int], tuple[T, list[Effect]]]
    answer: asyncio.Future[T]


@attrs.frozen
class _Done:
    job: Job[Any]
    value: Any
    effects: list[Effect]
    error: BaseException | None


@attrs.define(eq=False)
class Store:
    """The database of one server.

    Attributes:
        path: A database file, or the folder for one.
        durability: See :func:`container_executor.server.schema.connect`.
        publish: Called on the event loop with each effect, after the commit and before the call's answer.
    """

    path: Path
    durability: Durability
    publish: Callable[[Effect], None]
    _jobs: queue.SimpleQueue[Job[Any] | None] = attrs.field(factory=queue.SimpleQueue, init=False)
    _lock: FileLock | None = attrs.field(default=None, init=False)
    _thread: threading.Thread | None = attrs.field(default=None, init=False)
    _now: int = attrs.field(default=0, init=False)

    def open(self) -> None:
        """Lock and open the database and start the thread; call it on the event loop.

        Raises:
            ServerError: The database is in use, or cannot be used.
        """
        file = database_file(self.path)
        lock = FileLock(file.with_name(file.name + ".lock"))
        lock.acquire()
        try:
            db = connect(file, self.durability)
        except BaseException:
            lock.release()
            raise
        self._lock = lock
        self._now = db.execute("SELECT coalesce(max(ts), 0) FROM logs").fetchone()[0]
        loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._serve, args=(db, loop), name="colonies-database", daemon=True)
        self._thread.start()

    async def close(self) -> None:
        """Finish what was asked, then close the database."""
        if self._thread is not None and self._lock is not None:
            thread, self._thread = self._thread, None
            self._jobs.put(None)
            await asyncio.to_thread(thread.join)
            self._lock.release()

    async def run(self, work: Callable[[sqlite3.Connection, int], tuple[T, list[Effect]]]) -> T:
        """Run *work* in a transaction and return its value once that is on the disk.

        Work whose caller has gone before its turn is not done.

        Raises:
            Refused: What the work raised, or that the server is not running; nothing has changed.
        """
        if self._thread is None:
            raise Refused(503, "the server is not running")
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._jobs.put(Job(work, answer))
        return await answer

    def _serve(self, db: sqlite3.Connection, loop: asyncio.AbstractEventLoop) -> None:
        while (batch := self._gather()) is not None:
            loop.call_soon_threadsafe(self._deliver, self._commit(db, batch))
        db.close()

    def _gather(self) -> list[Job[Any]] | None:
        batch: list[Job[Any]] = []
        job = self._jobs.get()
        while job is not None:
            batch.append(job)
            if len(batch) == LARGEST_BATCH or self._jobs.empty():
                return batch
            job = self._jobs.get()
        if batch:
            self._jobs.put(None)
            return batch
        return None

    def _commit(self, db: sqlite3.Connection, batch: list[Job[Any]]) -> list[_Done]:
        try:
            db.execute("BEGIN")
            done = [self._attempt(db, job) for job in batch if not job.answer.cancelled()]
            db.execute("COMMIT")
        except sqlite3.Error as error:
            log.exception("%s: a batch of %d calls was not stored", self.path, len(batch))
            if db.in_transaction:
                db.execute("ROLLBACK")
            refusal = Refused(500, f"not stored: {error}; free space or check the disk of the server, then repeat")
            return [_Done(job, None, [], refusal) for job in batch]
        return done

    def _attempt(self, db: sqlite3.Connection, job: Job[Any]) -> _Done:
        db.execute("SAVEPOINT call")
        try:
            self._now = max(self._now + 1, time.time_ns())
            value, effects = job.work(db, self._now)
        except Exception as error:
            if not db.in_transaction:  # a full disk has undone the whole batch
                raise
            db.execute("ROLLBACK TO call")
            db.execute("RELEASE call")
            return _Done(job, None, [], _as_refusal(error))
        db.execute("RELEASE call")
        return _Done(job, value, effects, None)

    def _deliver(self, done: list[_Done]) -> None:
        for each in done:
            for effect in each.effects:
                self.publish(effect)
            if each.job.answer.cancelled():
                continue
            if each.error is None:
                each.job.answer.set_result(each.value)
            else:
                each.job.answer.set_exception(each.error)


def _as_refusal(error: Exception) -> Refused:
    if isinstance(error, Refused):
        return error
    if isinstance(error, sqlite3.DataError | OverflowError):
        return Refused(400, f"a value is too large to be stored: {error}")
    log.error("a call failed", exc_info=error)
    return Refused(500, INTERNAL)
