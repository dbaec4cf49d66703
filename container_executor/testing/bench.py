"""What the cases act through: jobs on a backend, looked at as the core would, and the traces that programs leave.

A :class:`Witness` is how a case asserts on the program instead of on the report: the program leaves a trace each time it does
something, in a file that it shares with the case where the engine can mount one, otherwise in its output.
"""

import json
import secrets
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from itertools import takewhile
from pathlib import Path
from threading import Event
from typing import Any, TypeVar

import attrs
import pytest

from container_executor.backend import LOG_LIMIT, Backend
from container_executor.models import Handle, JobSpec, JobState, JobStatus, LogChunk, LogLine, Mark, Mount, Plan

T = TypeVar("T")


def wait_for(look: Callable[[], T | None], patience: timedelta, what: str) -> T:
    """Return the first true answer of *look*; fail the case after *patience*, saying *what* did not come.

    No turn counts for more than a quarter of it: while a machine stands still (a virtual one is paused, a laptop sleeps), the job
    that is waited for does so too.
    """
    left, pause, turn = patience, 0.01, time.monotonic()
    while not (seen := look()):
        if left <= timedelta():
            pytest.fail(f"{what} did not come within {patience.total_seconds():g} s")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)
        now = time.monotonic()
        left, turn = left - min(timedelta(seconds=now - turn), patience / 4), now
    return seen


def shell(line: str, *args: str) -> tuple[str, ...]:
    """Return a user's shell line as the core hands it to a backend."""
    return ("sh", "-c", f"trap 'exit 143' TERM\n{line}", "sh", *args)


def journaled(plan: Plan) -> Plan:
    """Return the plan as it comes back from the journal after a restart."""
    return attrs.evolve(plan, request=json.loads(json.dumps(plan.request)))


@attrs.define(eq=False)
class Witness:
    """Counts what a program really did.

    Attributes:
        trace: The shell command that leaves one trace.
        mounts: What the job needs for it.
    """

    bench: "Bench"
    trace: str = "echo trace"
    mounts: tuple[Mount, ...] = ()
    path: Path | None = None
    handle: Handle | None = None

    @property
    def ticking(self) -> str:
        """A shell line that never ends and leaves a trace every tenth of a second."""
        return f"while :; do {self.trace}; sleep 0.1; done"

    def count(self) -> int:
        """Return the number of traces so far."""
        if self.path is not None:
            return len(self.path.read_text().splitlines()) if self.path.exists() else 0
        assert self.handle is not None, "this case must bind its witness to the job whose output it reads"
        return sum(line.data == b"trace" for line in self.bench.read(self.handle))

    def seen(self, times: int = 1) -> None:
        """Wait until the program has left so many traces."""
        wait_for(lambda: self.count() >= times, self.bench.patience, f"trace {times} of the program")

    def falls_silent(self) -> None:
        """Wait until the program leaves no trace any more."""
        last, since = self.count(), time.monotonic()

        def silent() -> bool:
            nonlocal last, since
            count, now = self.count(), time.monotonic()
            if count != last:
                last, since = count, now
            return now - since > self.bench.quiet.total_seconds()

        wait_for(silent, self.bench.patience, "the program runs on: its silence")

    def goes_on(self) -> None:
        """Wait until the program has left five more traces: it was not just about to stop."""
        self.seen(self.count() + 5)


@attrs.define(eq=False)
class Bench:
    """A backend, and how the cases use it.

    Attributes:
        backend: The one under test.
        image: What the jobs run in.
        patience: How long anything may take.
        quiet: How long a program must have left no trace to count as silent; it would leave one each tenth of a second.
        shared: A directory that jobs can be given, or None where the engine has no mounts.
        on_host: Programs see this machine's files as they are.
    """

    backend: Backend
    image: str
    patience: timedelta
    quiet: timedelta
    shared: Path | None = None
    on_host: bool = False

    def on(self, backend: Backend) -> "Bench":
        """Return a bench that differs in its backend."""
        return attrs.evolve(self, backend=backend)

    def mark(self) -> Mark:
        """Return the mark of a process that nobody has seen before."""
        return Mark(owner=self.backend.owner, colony="dev", process_id=secrets.token_hex(32))

    def job(self, program: str | Sequence[str], **fields: Any) -> JobSpec:
        """Return a new job that runs a shell line, or an argument list as it is."""
        argv = shell(program) if isinstance(program, str) else tuple(program)
        known: dict[str, Any] = {"mark": self.mark(), "image": self.image, "grace": timedelta(seconds=2)}
        return JobSpec(argv=argv, **{**known, **fields})

    def plan(self, job: JobSpec) -> Plan:
        """Plan, prepare the image, plan again with the pinned image; through the journal, as in the core."""
        plan = self.backend.plan(job)
        pinned = self.backend.prepare(plan, lambda _progress: None, Event())
        return journaled(self.backend.plan(attrs.evolve(job, image=pinned)) if pinned else plan)

    def submit(self, job: JobSpec, lifetime: timedelta | None = None) -> Handle:
        """Plan and submit a job; one that a failing case leaves behind ends by itself."""
        return self.backend.submit(self.plan(job), lifetime=lifetime if lifetime is not None else 4 * self.patience)

    def start(self, program: str | Sequence[str], **fields: Any) -> Handle:
        """Submit a new job."""
        return self.submit(self.job(program, **fields))

    def look(self, handle: Handle) -> JobStatus | None:
        """Return the job's status or None where it is unknown, releasing a job that is held."""
        status = self.backend.status([handle]).get(handle.job_id)
        if status is not None and status.state is JobState.HELD:
            self.backend.release(handle)
        return status

    def until(self, handle: Handle, condition: Callable[[JobStatus], object], what: str) -> JobStatus:
        """Wait for a status that meets *condition* and return it."""

        def met(status: JobStatus | None) -> JobStatus | None:
            return status if status is not None and condition(status) else None

        return self._watching(handle, met, what)

    def _watching(self, handle: Handle, look: Callable[[JobStatus | None], T | None], what: str) -> T:
        """Wait for what *look* finds at a status; where it does not come, the last status is told."""
        seen: list[JobStatus | None] = [None]

        def turn() -> T | None:
            seen[0] = self.look(handle)
            return look(seen[0])

        try:
            return wait_for(turn, self.patience, f"{handle.job_id}: {what}")
        except pytest.fail.Exception as late:
            raise pytest.fail.Exception(f"{late}; last status: {seen[0]}") from None

    def ended(self, handle: Handle) -> JobStatus:
        """Wait for the end and return it."""
        return self.until(handle, lambda status: status.state.ended, "an ended state")

    def running(self, handle: Handle) -> JobStatus:
        """Wait until the job runs."""
        return self.until(handle, lambda status: status.state is JobState.RUNNING, "the state running")

    def gone(self, handle: Handle) -> None:
        """Remove a job until the engine does not have it."""

        def absent() -> bool:
            self.backend.remove(handle)
            return self.look(handle) is None

        wait_for(absent, self.patience, f"{handle.job_id}: its removal")

    def read(self, handle: Handle, cursor: str = "") -> list[LogLine]:
        """Return the lines that are there after *cursor*: reads until a chunk is empty."""
        lines: list[LogLine] = []
        while (chunk := self.backend.logs(handle, cursor)).lines:
            lines += chunk.lines
            cursor = chunk.cursor
        return lines

    def follow(self, handle: Handle, cursor: str = "", *, limit: int = LOG_LIMIT) -> list[LogChunk]:
        """Return all chunks after *cursor* up to the end of the job's output."""
        chunks: list[LogChunk] = []

        def at_end(_status: JobStatus | None) -> bool:
            chunks.append(self.backend.logs(handle, chunks[-1].cursor if chunks else cursor, limit=limit))
            while chunks[-1].lines and not chunks[-1].end:
                chunks.append(self.backend.logs(handle, chunks[-1].cursor, limit=limit))
            return chunks[-1].end

        self._watching(handle, at_end, "the end of its output")
        return chunks

    def output(self, handle: Handle, rank: int = 0) -> bytes:
        """Wait for the end of the output and return what one rank printed."""
        return joined([line for chunk in self.follow(handle) for line in chunk.lines if line.rank == rank])

    def printed(self, program: str | Sequence[str], **fields: Any) -> bytes:
        """Run a job to its end, which must be success, and return what it printed."""
        handle = self.start(program, **fields)
        output = self.output(handle)
        status = self.ended(handle)
        assert status.state is JobState.SUCCEEDED, f"{status}; it printed {output[-1000:]!r}"
        return output

    def witness(self) -> Witness:
        """Return a new witness."""
        if self.shared is None and not self.on_host:
            return Witness(self)
        place = self.folder()
        path = place / "trace"
        if self.on_host:
            return Witness(self, f"echo trace >> '{path}'", (), path)
        return Witness(self, "echo trace >> /ce-witness/trace", (Mount(str(place), "/ce-witness"),), path)

    def folder(self) -> Path:
        """Return a new directory that any user may write into and that jobs can be given."""
        assert self.shared is not None, "the fixture `shared` must give a directory"
        place = self.shared / secrets.token_hex(4)
        place.mkdir()
        place.chmod(0o777)
        return place

    def ticking(self, before: str = "", /, **fields: Any) -> Witness:
        """Start a job that leaves traces for ever, wait for the first, and return its witness bound to it."""
        witness = self.witness()
        witness.handle = self.start(before + witness.ticking, mounts=witness.mounts, **fields)
        self.running(witness.handle)
        witness.seen()
        return witness


def joined(lines: Sequence[LogLine]) -> bytes:
    """Return lines and pieces of lines as the program wrote them."""
    return b"".join(line.data + b"\n" * line.complete for line in lines)


def same(output: bytes, expected: bytes) -> None:
    """Fail a case where an output is not as expected, with the first place where it differs.

    A plain ``==`` of large values makes pytest search for the best way to show what differs: minutes where ``CI`` is set.
    """
    if output == expected:
        return
    at = len(list(takewhile(lambda pair: pair[0] == pair[1], zip(output, expected, strict=False))))
    pytest.fail(
        f"{len(output)} bytes of output where {len(expected)} were expected; from byte {at} on it has "
        f"{output[at : at + 80]!r} and not {expected[at : at + 80]!r}"
    )
