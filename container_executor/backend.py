"""The contract between this program and a container engine. Read this first.

A backend is one attrs class whose fields are its settings. It renders a job as its engine's request (:meth:`Backend.plan`),
hands it in (:meth:`Backend.submit`), and answers questions about it. The core does all the rest: retries, deadlines,
verdicts, staging, logs to the server.

Every call but :meth:`Backend.prepare` and :meth:`Backend.watch` is short: it returns within the engine's own timeout
(30 s; ``submit`` of a large gang may take longer). Calls come from several threads at once. A backend starts no threads.
No exception but those of :mod:`container_executor.errors` leaves a call: one context manager per backend translates the
exceptions of its SDK. Constructing a backend does no work; connections open on first use.

Nothing here guesses. A job that the engine answered about but does not have is *absent*, which is not *ended*; an engine
that does not answer is :class:`~container_executor.errors.UnavailableError`.
"""

import abc
import os
from collections.abc import Callable, Collection, Mapping
from datetime import timedelta
from threading import Event
from typing import ClassVar

from container_executor.models import Capacity, Found, Handle, Health, JobSpec, JobStatus, LogChunk, Plan, Progress

CONTRACT_VERSION = 1
"""Raised only when a backend written for the former version would break."""

LOG_LIMIT = 262_144
"""Bytes of log that one call returns at most, unless told otherwise."""


class Backend(abc.ABC):
    """A container engine. Subclass it with attrs; each field is a setting of the site.

    The core sets :attr:`owner` before any other call: jobs of another owner are never touched, listed or removed.
    """

    name: ClassVar[str]
    """The name that ``--backend`` takes."""

    owner: str
    """Lowercase hex id of the daemon's state directory; a field of every backend, set by the core."""

    @abc.abstractmethod
    def plan(self, job: JobSpec) -> Plan:
        """Render *job* as this engine's request. Pure: equal jobs give equal plans and nothing is asked of the engine.

        Raises:
            UnsupportedError: This engine or site cannot run it; each problem has the path of the field in the spec.
        """

    @abc.abstractmethod
    def submit(self, plan: Plan, *, lifetime: timedelta | None) -> Handle:
        """Hand the job in and return once the engine has accepted it.

        At most one job per ``job_id`` exists, however often this is called and whichever replies are lost: a job that is
        there already is returned, and one that has ended is never started again. The engine ends the job *lifetime* after
        this call even if nobody is left to ask (TERM at lifetime minus grace, KILL at lifetime); None sets no end.

        Raises:
            RejectedError: The engine said no.
            UnavailableError: No answer; the job may or may not be there. Calling again is safe.
        """

    @abc.abstractmethod
    def status(self, handles: Collection[Handle]) -> Mapping[str, JobStatus]:
        """Return what the engine knows of many jobs, by job id, in few calls to it.

        A job that is left out is one the engine answered about and does not have. One that the engine ended at its lifetime
        may have the failure ``lease_expired``; otherwise the core knows it by the time of its end.

        Raises:
            UnavailableError: The engine did not answer.
        """

    @abc.abstractmethod
    def logs(self, handle: Handle, cursor: str = "", *, limit: int = LOG_LIMIT) -> LogChunk:
        """Return the output after *cursor*, about *limit* bytes of it. Never waits for more.

        Within a rank, no line is lost, doubled or out of order. ``end`` only when nothing more can come. A job that the
        engine does not have gives an empty chunk that is not the end.
        """

    @abc.abstractmethod
    def cancel(self, handle: Handle, *, force: bool = False) -> None:
        """Send TERM (*force*: KILL) to the program of every rank and its children; do not wait.

        After an end, or for a job the engine does not have, nothing happens. Output and exit codes stay until ``remove``.
        """

    @abc.abstractmethod
    def remove(self, handle: Handle) -> None:
        """Delete what the job left on the engine, stopping it first if it must. May need a second call; harmless again."""

    @abc.abstractmethod
    def list_jobs(self) -> Collection[Found]:
        """Return every job that bears this owner's mark, live or ended, from any former run."""

    def prepare(self, plan: Plan, report: Callable[[Progress], None], stop: Event) -> str | None:
        """Get the image ready and return its pinned reference, or None where the engine's nodes fetch it themselves.

        May take long; reports its progress; returns early when *stop* is set, leaving nothing half-made. The core plans
        again with the pinned reference as the job's image.

        Raises:
            RejectedError: No such image, or no permission; ``failure`` says which.
            UnavailableError: The registry did not answer.
        """
        return None

    def release(self, handle: Handle) -> None:
        """Let the ranks of a job that is HELD start. Only for engines where ranks may start one by one."""

    def watch(self, wake: Callable[[str], None], stop: Event) -> None:
        """Block until *stop* is set, calling *wake* with a job id whenever something about that job may have changed.

        A hint: a lost one costs latency, never correctness. Returning at once means that there is nothing to watch.
        """
        stop.wait()

    def capacity(self) -> Capacity | None:
        """Return what is free now, or was some seconds ago, cheaply; None where only the site's fixed numbers count.

        Where jobs that do not fit are started all the same, it counts every job that was submitted before it was called.
        """
        return None

    def total(self) -> Capacity | None:
        """Return what the whole engine has, in use or not, cheaply; None where nobody knows.

        A job that needs more is refused at once, one that needs more than is free waits.
        """
        return None

    def run_as(self) -> str:
        """Return the ``UID:GID`` that programs of jobs run as, "" for the daemon's own; directories are given to them."""
        return ""

    @abc.abstractmethod
    def probe(self) -> Health:
        """Return how the engine is. Raises nothing."""

    def close(self) -> None:
        """Close connections. The jobs go on."""


def user_of_jobs(user: str, *, dev: bool) -> str:
    """Return the ``UID:GID`` that programs run as where an engine can choose: what the site says, or the daemon's own.

    A daemon that is root and was told none leaves it to the image (""), in development mode to nobody (65534:65534).
    """
    if user:
        return user
    if os.geteuid():
        return f"{os.geteuid()}:{os.getegid()}"
    return "65534:65534" if dev else ""
