"""The backend as the executor's tasks call it: in threads, bounded, with one place that retries."""

import threading
from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import timedelta
from functools import partial
from typing import Generic, TypeVar

import anyio
import attrs
from anyio import to_thread

from container_executor.backend import Backend
from container_executor.errors import ContainerExecutorError, RejectedError, UnavailableError
from container_executor.execute.clock import now
from container_executor.execute.pauses import pauses
from container_executor.logs import Logger
from container_executor.models import Capacity, FailureClass, Found, Handle, JobStatus, LogChunk, Plan, Progress

log = Logger(__name__)

CALLS = 6
URGENT_CALLS = 2
"""Calls in flight at once; the urgent ones are kept for ``status`` and ``cancel``, so that a slow engine can still be asked to stop."""
CALL_TIMEOUT = 90.0
"""Seconds after which a call counts as stuck in its SDK: three times the longest that the contract allows."""
STUCK_LIMIT = 8
"""Stuck calls after which no new ordinary call is made."""

PAUSE = 0.2
PAUSE_LIMIT = 10.0
"""Seconds between two tries of a call that was not answered: the first, and the longest."""
PATIENCE = 0.5
"""The pause from which on the user is told what is waited for."""

T = TypeVar("T")


def _limiter(tokens: int) -> anyio.CapacityLimiter:
    return anyio.CapacityLimiter(tokens)


@attrs.define(eq=False)
class Engine:
    """A backend whose calls are awaited.

    Attributes:
        backend: What is called.
        stuck: Calls that have not come back from the SDK and never may.
        last_answer: When the engine last answered, on the boot clock.
    """

    backend: Backend
    stuck: int = 0
    last_answer: float = attrs.field(factory=now)
    _ordinary: anyio.CapacityLimiter = attrs.field(factory=partial(_limiter, CALLS))
    _urgent: anyio.CapacityLimiter = attrs.field(factory=partial(_limiter, URGENT_CALLS))
    _preparing: dict[tuple[str, bool], "_Preparation"] = attrs.field(factory=dict)

    async def submit(self, plan: Plan, *, lease_end: float | None) -> Handle:
        """Submit, so that the engine itself ends the job at *lease_end* on the boot clock."""
        lifetime = None if lease_end is None else timedelta_until(lease_end)
        return await self._call(partial(self.backend.submit, plan, lifetime=lifetime), timeout=3 * CALL_TIMEOUT)

    async def status(self, handles: Collection[Handle]) -> Mapping[str, JobStatus]:
        """Ask for many jobs at once; see :meth:`Backend.status`."""
        return await self._call(partial(self.backend.status, handles), urgent=True)

    async def logs(self, handle: Handle, cursor: str, *, limit: int) -> LogChunk:
        """Read output after *cursor*; see :meth:`Backend.logs`."""
        return await self._call(partial(self.backend.logs, handle, cursor, limit=limit))

    async def cancel(self, handle: Handle, *, force: bool = False) -> None:
        """Send TERM or KILL; see :meth:`Backend.cancel`."""
        await self._call(partial(self.backend.cancel, handle, force=force), urgent=True)

    async def remove(self, handle: Handle) -> None:
        """Delete what is left; see :meth:`Backend.remove`."""
        await self._call(partial(self.backend.remove, handle))

    async def release(self, handle: Handle) -> None:
        """Let held ranks start; see :meth:`Backend.release`."""
        await self._call(partial(self.backend.release, handle))

    async def list_jobs(self) -> Collection[Found]:
        """List every job of this owner; see :meth:`Backend.list_jobs`."""
        return await self._call(self.backend.list_jobs)

    async def capacity(self) -> Capacity | None:
        """Ask what is free; see :meth:`Backend.capacity`."""
        return await self._call(self.backend.capacity)

    async def total(self) -> Capacity | None:
        """Ask what the engine has in all; see :meth:`Backend.total`."""
        return await self._call(self.backend.total)

    async def prepare(self, plan: Plan, report: Callable[[Progress], None]) -> str | None:
        """Get an image ready; whoever asks for the same image meanwhile waits for, and shares, the one answer."""
        key = (plan.job.image, plan.job.pull)
        while True:
            running = self._preparing.get(key)
            if running is None:
                return await self._prepare_first(key, plan, report)
            await running.done.wait()
            if running.answered:
                return running.result()

    async def _prepare_first(self, key: tuple[str, bool], plan: Plan, report: Callable[[Progress], None]) -> str | None:
        running = self._preparing[key] = _Preparation()
        stop = threading.Event()
        try:
            call = _Watched(partial(self.backend.prepare, plan, report, stop))
            running.image = await to_thread.run_sync(call, abandon_on_cancel=True, limiter=_limiter(1))
            running.answered = True
        except Exception as error:
            running.error, running.answered = error, True
            raise
        finally:
            stop.set()
            del self._preparing[key]
            running.done.set()
        return running.image

    async def _call(self, function: Callable[[], T], *, urgent: bool = False, timeout: float = CALL_TIMEOUT) -> T:
        if self.stuck >= STUCK_LIMIT and not urgent:
            raise UnavailableError(f"{self.backend.name}: {self.stuck} calls have not come back from the engine")
        watched = _Watched(function)
        with anyio.move_on_after(timeout):
            limiter = self._urgent if urgent else self._ordinary
            answer = await to_thread.run_sync(watched, abandon_on_cancel=True, limiter=limiter)
            self.last_answer = now()
            return answer
        self._count_stuck(watched)
        raise UnavailableError(f"{self.backend.name}: no answer within {timeout:.0f} s")

    def _count_stuck(self, call: "_Watched[T]") -> None:
        self.stuck += 1
        call.when_back(self._one_came_back)
        log.error("call stuck in the engine's client", backend=self.backend.name, stuck=self.stuck)

    def _one_came_back(self) -> None:
        self.stuck -= 1


@attrs.define(eq=False)
class _Preparation:
    done: anyio.Event = attrs.field(factory=anyio.Event)
    answered: bool = False
    image: str | None = None
    error: Exception | None = None

    def result(self) -> str | None:
        if self.error is not None:
            raise self.error
        return self.image


class _Watched(Generic[T]):
    """A call that can tell, after it was given up, that it came back after all."""

    def __init__(self, function: Callable[[], T]) -> None:
        self._function = function
        self._lock = threading.Lock()
        self._returned = False
        self._tell: Callable[[], None] | None = None

    def __call__(self) -> T:
        try:
            return self._function()
        except ContainerExecutorError:
            raise
        except Exception as error:
            log.exception("fault in a backend")
            raise RejectedError(
                f"fault in the backend: {error!r}", failure=FailureClass.EXECUTOR_INTERNAL.value
            ) from error
        finally:
            with self._lock:
                self._returned = True
                if self._tell is not None:
                    self._tell()

    def when_back(self, tell: Callable[[], None]) -> None:
        with self._lock:
            if self._returned:
                tell()
            else:
                self._tell = tell


def timedelta_until(moment: float) -> timedelta:
    """Return the time from now to a moment of the boot clock, at least none."""
    return timedelta(seconds=max(0.0, moment - now()))


async def until_answered(
    call: Callable[[], Awaitable[T]], *, until: float | None, tell: Callable[[UnavailableError], None] | None = None
) -> T:
    """Call again and again while the engine does not answer, with growing pauses, until a moment of the boot clock.

    Args:
        call: What is asked.
        until: When to give up; None for never.
        tell: Told why there is no answer, once that takes longer than a moment.

    Raises:
        UnavailableError: It had not answered by then.
    """
    growing = pauses(PAUSE, PAUSE_LIMIT)
    while True:
        try:
            return await call()
        except UnavailableError as error:
            pause = next(growing)
            if until is not None and until - now() <= pause:
                raise
            log.warning("the engine does not answer; asking again", error=str(error))
            if tell is not None and pause >= PATIENCE:
                tell(error)
        await anyio.sleep(pause)
