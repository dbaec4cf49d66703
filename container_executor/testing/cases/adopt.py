"""Adoption: what a restart of the daemon finds, and what belongs to others."""

from datetime import timedelta

import attrs

from container_executor.backend import Backend
from container_executor.models import JobState, Mark
from container_executor.testing.bench import Bench, joined
from container_executor.testing.cases.base import Cases, Elsewhere, Fresh
from container_executor.testing.features import needs


def listed(backend: Backend) -> dict[str, Mark]:
    """Return the marks that a backend lists, by job id."""
    return {found.handle.job_id: found.mark for found in backend.list_jobs()}


class AdoptCases(Cases):
    def test_the_list_has_every_job_with_its_mark(self, bench: Bench, fresh: Fresh) -> None:
        mark = attrs.evolve(bench.mark(), colony="a colony/ö, 'q' \"d\" = 1", attempt=3, launch=2)
        live, ended = bench.job("sleep 60"), bench.job("true", mark=mark)
        bench.running(bench.submit(live))
        handle = bench.submit(ended)
        bench.ended(handle)

        assert listed(fresh()) == {live.job_id: live.mark, ended.job_id: mark}
        assert handle in [found.handle for found in fresh().list_jobs()]

    def test_a_fresh_instance_knows_how_a_job_ended(self, bench: Bench, fresh: Fresh) -> None:
        handle = bench.start("echo kept; exit 3")
        before = bench.ended(handle)

        later = bench.on(fresh())

        assert later.ended(handle) == before
        assert later.output(handle) == b"kept\n"

    def test_a_fresh_instance_reads_on_where_the_former_stopped(self, bench: Bench, fresh: Fresh) -> None:
        handle = bench.start("echo one; sleep 2; echo two")
        bench.until(handle, lambda _status: bench.read(handle), "the first line")
        chunk = bench.backend.logs(handle)

        rest = bench.on(fresh()).follow(handle, chunk.cursor)

        assert chunk.lines
        assert joined([line for piece in (chunk, *rest) for line in piece.lines]) == b"one\ntwo\n"

    def test_a_fresh_instance_can_cancel_and_remove(self, bench: Bench, fresh: Fresh) -> None:
        witness = bench.ticking()
        assert witness.handle is not None
        later = bench.on(fresh())

        later.backend.cancel(witness.handle)

        later.ended(witness.handle)
        witness.falls_silent()
        later.gone(witness.handle)
        assert bench.backend.status([witness.handle]) == {}

    @needs("survival")
    def test_a_job_outlives_the_program_that_submitted_it(
        self, bench: Bench, fresh: Fresh, elsewhere: Elsewhere
    ) -> None:
        job = bench.job("echo one; sleep 2; echo two; exit 3")

        handle = elsewhere(bench.plan(job), timedelta(minutes=5))

        later = bench.on(fresh())
        assert listed(later.backend) == {job.job_id: job.mark}
        assert later.output(handle) == b"one\ntwo\n"
        assert later.ended(handle).ranks[0].exit_code == 3

    def test_jobs_go_on_when_the_backend_is_closed(self, bench: Bench, fresh: Fresh) -> None:
        submitter = fresh()
        handle = bench.on(submitter).submit(bench.job("sleep 3; echo done"))
        bench.on(submitter).running(handle)

        submitter.close()
        submitter.close()

        assert bench.output(handle) == b"done\n"
        assert bench.ended(handle).state is JobState.SUCCEEDED

    def test_nobody_lists_the_jobs_of_another_owner(self, bench: Bench, stranger: Backend) -> None:
        mine, theirs = bench.job("sleep 60"), bench.on(stranger).job("sleep 60")
        bench.running(bench.submit(mine))
        bench.on(stranger).running(bench.on(stranger).submit(theirs))

        assert listed(bench.backend) == {mine.job_id: mine.mark}
        assert listed(stranger) == {theirs.job_id: theirs.mark}

    def test_nobody_touches_the_jobs_of_another_owner(self, bench: Bench, stranger: Backend) -> None:
        witness = bench.ticking()
        assert witness.handle is not None

        stranger.cancel(witness.handle, force=True)
        stranger.remove(witness.handle)

        witness.goes_on()
        assert bench.running(witness.handle).state is JobState.RUNNING
        assert stranger.status([witness.handle]) == {}
