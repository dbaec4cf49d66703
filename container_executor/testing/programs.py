"""Programs in memory: what a job of the scripted backend does, and what goes wrong with it."""

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from datetime import UTC, datetime
from threading import Event

import attrs

from container_executor.errors import BackendError
from container_executor.models import (
    FailureClass,
    Gap,
    Handle,
    JobSpec,
    JobState,
    JobStatus,
    LogChunk,
    LogLine,
    Plan,
    Progress,
    RankStatus,
    exit_signal,
    job_state,
    rank_env,
)

KILLED = 137
TERMINATED = 143


class Terminated(Exception):  # noqa: N818  a signal, not an error
    """TERM, raised at the yield where a program stands. One that does not catch it ends with 143."""


@attrs.frozen
class Exit:
    """How a program ended, where an exit code alone does not tell."""

    code: int | None = 0
    failure: FailureClass | None = None
    reason: str = ""


Step = bytes | Event | Gap | None
"""Output (with its newlines), an event to wait for, output that the engine lost, or None: nothing more until the next call."""

Program = Generator[Step, None, int | Exit | None]


@attrs.define(eq=False)
class Rank:
    """One rank, as its program sees it. What it puts into *output* is its ``$COLONIES_OUTPUT``."""

    job: JobSpec
    number: int
    output: str | None = None

    @property
    def env(self) -> Mapping[str, str]:
        """The variables of this rank."""
        return rank_env(self.job, self.number)


def succeed(_rank: Rank) -> Program:
    """Print nothing and end with 0."""
    yield from ()
    return 0


def _set_event() -> Event:
    event = Event()
    event.set()
    return event


@attrs.frozen(eq=False)
class Script:
    """What one job does, and what goes wrong with it.

    Attributes:
        program: What each rank runs.
        submit_errors: Raised by the first submits, one each, before the engine has the job.
        lost_replies: How many submits after those are accepted and yet end in UnavailableError.
        placed: The job is PENDING until this is set; set unless told otherwise.
        pending_reason: The engine's words while it is PENDING.
        pending_failure: The class that those words prove.
        held: The job is HELD until ``release``.
        gone: Once set, the engine denies having the job.
        progress: What ``prepare`` reports.
        prepared: ``prepare`` goes on only when this is set, or returns None early on its *stop*.
        prepare_errors: Raised by the first calls of ``prepare``, one each.
        pinned: What ``prepare`` returns.
    """

    program: Callable[[Rank], Program] = succeed
    submit_errors: Sequence[BackendError] = ()
    lost_replies: int = 0
    placed: Event = attrs.field(factory=_set_event)
    pending_reason: str = ""
    pending_failure: FailureClass | None = None
    held: bool = False
    gone: Event = attrs.field(factory=Event)
    progress: Sequence[Progress] = ()
    prepared: Event = attrs.field(factory=_set_event)
    prepare_errors: Sequence[BackendError] = ()
    pinned: str | None = None


@attrs.define(eq=False)
class Run:
    """A rank's program and how far it is."""

    rank: Rank
    steps: Program
    waits_for: Event | None = None
    started: datetime | None = None
    ended: datetime | None = None
    exit: Exit | None = None

    def advance(self, log: list[LogLine | Gap]) -> None:
        """Do all that can be done without waiting."""
        self.started = self.started or datetime.now(UTC)
        while self.exit is None and (self.waits_for is None or self.waits_for.is_set()):
            if self._take(lambda: next(self.steps), log) is None:
                return

    def terminate(self, log: list[LogLine | Gap]) -> None:
        if self.exit is None and self.started is None:
            self._end(Exit(None))
        elif self.exit is None:
            self._take(lambda: self.steps.throw(Terminated()), log)

    def kill(self) -> None:
        if self.exit is None:
            self._end(Exit(KILLED if self.started else None))

    def _take(self, resume: Callable[[], Step], log: list[LogLine | Gap]) -> Step:
        self.waits_for = None
        try:
            step = resume()
        except StopIteration as stop:
            self._end(stop.value if isinstance(stop.value, Exit) else Exit(stop.value or 0))
            return None
        except Terminated:
            self._end(Exit(TERMINATED))
            return None
        if isinstance(step, bytes):
            log.extend(_lines(self.rank.number, step))
        elif isinstance(step, Gap):
            log.append(attrs.evolve(step, rank=self.rank.number))
        self.waits_for = step if isinstance(step, Event) else None
        return step

    def _end(self, end: Exit) -> None:
        self.exit, self.ended = end, datetime.now(UTC)

    def status(self, *, waits: JobState) -> RankStatus:
        code = self.exit.code if self.exit else None
        return RankStatus(
            rank=self.rank.number,
            state=_state(self.exit) if self.exit else JobState.RUNNING if self.started else waits,
            exit_code=code,
            signal=exit_signal(code),
            node=f"node{self.rank.number // self.rank.job.processes_per_node}",
            image_id=self.rank.job.image,
            started=self.started,
            ended=self.ended,
            failure=self.exit.failure if self.exit else None,
            reason=self.exit.reason if self.exit else "",
            output=self.rank.output,
        )


def _state(end: Exit) -> JobState:
    if end.code is None:
        return JobState.FAILED if end.failure else JobState.CANCELLED
    return JobState.FAILED if end.code or end.failure else JobState.SUCCEEDED


def _lines(rank: int, output: bytes) -> list[LogLine]:
    *complete, rest = output.split(b"\n")
    lines = [LogLine(rank, "out", data) for data in complete]
    return [*lines, LogLine(rank, "out", rest, complete=False)] if rest else lines


@attrs.define(eq=False)
class ScriptedJob:
    """A job on the engine: its runs, what they printed, and when the engine ends them."""

    plan: Plan
    script: Script
    ends_at: float
    log: list[LogLine | Gap] = attrs.field(factory=list)
    runs: list[Run] = attrs.field(init=False)
    released: bool = False
    terminated: bool = False

    def __attrs_post_init__(self) -> None:
        ranks = [Rank(self.plan.job, number) for number in range(self.plan.job.ranks)]
        self.runs = [Run(rank, self.script.program(rank)) for rank in ranks]

    @property
    def handle(self) -> Handle:
        return Handle(self.plan.job_id, f"memory/{self.plan.job_id}", self.plan.job.ranks)

    def advance(self) -> None:
        if self.script.placed.is_set() and (self.released or not self.script.held):
            for run in self.runs:
                run.advance(self.log)
        now = time.monotonic()
        if now >= self.ends_at:
            self.cancel(force=True)
        elif now >= self.ends_at - self.plan.job.grace.total_seconds() and not self.terminated:
            self.terminated = True
            self.cancel(force=False)

    def cancel(self, *, force: bool) -> None:
        for run in self.runs:
            if force:
                run.kill()
            else:
                run.terminate(self.log)

    def status(self) -> JobStatus:
        placed = self.script.placed.is_set()
        ranks = tuple(run.status(waits=JobState.HELD if placed else JobState.PENDING) for run in self.runs)
        state = job_state(ranks, self.plan.job.ranks)
        reason = "" if placed else self.script.pending_reason
        failure = None if placed else self.script.pending_failure
        return JobStatus(state, ranks, failure, reason, self.handle.native_id)

    def chunk(self, start: int, limit: int) -> LogChunk:
        lines: list[LogLine] = []
        gaps: list[Gap] = []
        position = start
        for item in self.log[start:]:
            if isinstance(item, Gap):
                gaps.append(attrs.evolve(item, before=len(lines)))
            else:
                lines.append(item)
                limit -= len(item.data) + 1
            position += 1
            if limit <= 0:
                break
        end = position == len(self.log) and all(run.exit for run in self.runs)
        return LogChunk(tuple(lines), str(position), end, tuple(gaps))
