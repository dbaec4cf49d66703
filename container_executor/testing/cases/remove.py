"""Removing: nothing of the job is left, nothing else is touched."""

from container_executor.testing.bench import Bench
from container_executor.testing.cases.base import Cases


class RemoveCases(Cases):
    def test_a_removed_job_is_absent_everywhere(self, bench: Bench) -> None:
        handle = bench.start("echo gone")
        bench.follow(handle)
        bench.ended(handle)

        bench.gone(handle)

        assert bench.backend.status([handle]) == {}
        assert [found for found in bench.backend.list_jobs() if found.handle.job_id == handle.job_id] == []
        chunk = bench.backend.logs(handle)
        assert (chunk.lines, chunk.end) == ((), False)

    def test_remove_is_harmless_again(self, bench: Bench) -> None:
        handle = bench.start("true")
        bench.ended(handle)
        bench.gone(handle)

        bench.backend.remove(handle)

        assert bench.backend.status([handle]) == {}

    def test_remove_stops_a_job_that_runs(self, bench: Bench) -> None:
        witness = bench.ticking("trap '' TERM; ")
        assert witness.handle is not None

        bench.gone(witness.handle)

        witness.falls_silent()

    def test_remove_touches_no_other_job(self, bench: Bench) -> None:
        other, handle = bench.ticking(), bench.start("true")
        bench.ended(handle)

        bench.gone(handle)

        other.goes_on()
        assert other.handle is not None
        assert other.handle.job_id in bench.backend.status([other.handle])
