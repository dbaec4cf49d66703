"""Limits that the engine keeps: lifetime with nobody left to ask, walltime, memory."""

from datetime import timedelta

from container_executor.models import FailureClass, JobState
from container_executor.testing.bench import Bench, Witness, wait_for
from container_executor.testing.cases.base import Cases, Elsewhere, Fresh
from container_executor.testing.features import needs
from container_executor.testing.outcomes import Outcome, outcome

_CHECKPOINT = "trap 'echo checkpoint; exit 0' TERM; "
_TOO_MUCH = "dd if=/dev/zero of=/dev/null bs=300000000 count=1"
"""dd fills a block of memory: far more than the limit. It does so alone: of several that ask for memory at once, the kernel may
kill one after the other, up to their shell."""
_LIMIT = 2**26


class LimitCases(Cases):
    @needs("lifetime", "survival")
    def test_the_engine_ends_a_job_that_nobody_asks_for(self, bench: Bench, fresh: Fresh, elsewhere: Elsewhere) -> None:
        witness = bench.witness()
        job = bench.job(("sh", "-c", _CHECKPOINT + witness.ticking), mounts=witness.mounts, grace=self.grace)

        witness.handle = elsewhere(bench.plan(job), self.lifetime)

        later = bench.on(fresh())
        witness.seen()
        witness.falls_silent()
        status = later.ended(witness.handle)
        assert status.ranks[0].exit_code == 0, "TERM must come first, so that a program can save its work"
        assert b"checkpoint" in later.output(witness.handle).splitlines()

    @needs("lifetime")
    def test_a_program_that_ignores_term_is_killed_at_its_lifetime(self, bench: Bench) -> None:
        witness = _start(bench, "trap '' TERM; ", grace=self.grace, lifetime=self.lifetime)

        witness.falls_silent()

        assert witness.handle is not None
        assert bench.ended(witness.handle).ranks[0].exit_code == 137

    @needs("lifetime")
    def test_a_lifetime_that_is_not_over_ends_nothing(self, bench: Bench) -> None:
        handle = bench.submit(bench.job("sleep 1; exit 3"), lifetime=timedelta(days=7))

        assert bench.ended(handle).ranks[0].exit_code == 3

    @needs("walltime")
    def test_the_walltime_gives_time_for_a_checkpoint(self, bench: Bench) -> None:
        witness = _start(bench, _CHECKPOINT, grace=self.grace, walltime=timedelta(seconds=1))

        witness.falls_silent()

        assert witness.handle is not None
        status = bench.ended(witness.handle)
        assert b"checkpoint" in bench.output(witness.handle).splitlines()
        assert (outcome(status).failure, status.ranks[0].exit_code) == (FailureClass.WALLTIME, 0)

    @needs("walltime")
    def test_a_program_that_ignores_term_is_killed_after_its_walltime(self, bench: Bench) -> None:
        witness = _start(bench, "trap '' TERM; ", grace=self.grace, walltime=timedelta(seconds=1))

        witness.falls_silent()

        assert witness.handle is not None
        status = bench.ended(witness.handle)
        assert (outcome(status).failure, status.ranks[0].exit_code) == (FailureClass.WALLTIME, 137)

    @needs("memory")
    def test_a_program_beyond_its_memory_is_out_of_memory(self, bench: Bench) -> None:
        status = bench.ended(bench.start(_TOO_MUCH, memory=_LIMIT))

        assert (status.state, outcome(status).failure) == (JobState.FAILED, FailureClass.OOM)
        assert status.ranks[0].exit_code == 137

    @needs("memory")
    def test_a_child_out_of_memory_is_named_where_the_engine_tells(self, bench: Bench) -> None:
        status = bench.ended(bench.start(f"({_TOO_MUCH}); echo survived; exit 0", memory=_LIMIT))

        assert outcome(status) in (
            Outcome(JobState.FAILED, 0, FailureClass.OOM),
            Outcome(JobState.SUCCEEDED, 0, None),
        )

    @needs("memory")
    def test_a_program_within_its_memory_is_left_alone(self, bench: Bench) -> None:
        assert bench.printed("head -c 9000000 /dev/zero | tail -c 9000000 | wc -c", memory=_LIMIT).strip() == b"9000000"


def _start(bench: Bench, trap: str, *, lifetime: timedelta | None = None, **fields: timedelta) -> Witness:
    """Start a ticking program under a limit and wait for its first trace."""
    witness = bench.witness()
    job = bench.job(("sh", "-c", trap + witness.ticking), mounts=witness.mounts, **fields)
    witness.handle = bench.submit(job, lifetime)
    wait_for(lambda: bench.look(witness.handle) if witness.handle else None, bench.patience, "the job's first status")
    witness.seen()
    return witness
