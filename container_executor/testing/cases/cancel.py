"""Cancelling: the program stops, not only the report; and what it left can still be read."""

from container_executor.models import JobState
from container_executor.testing.bench import Bench, shell
from container_executor.testing.cases.base import Cases
from container_executor.testing.cases.status import unknown_handle

_CHILD = "trap 'echo checkpoint; exit 0' TERM; echo ready; while :; do sleep 0.1; done"


class CancelCases(Cases):
    def test_cancel_stops_the_program(self, bench: Bench) -> None:
        witness = bench.ticking()
        assert witness.handle is not None

        bench.backend.cancel(witness.handle)

        witness.falls_silent()
        assert bench.ended(witness.handle).state is not JobState.SUCCEEDED

    def test_cancel_lets_a_child_of_the_shell_write_its_checkpoint(self, bench: Bench) -> None:
        handle = bench.start(shell('sh -c "$1"', _CHILD))
        bench.running(handle)
        bench.until(handle, lambda _status: bench.read(handle), "the child's first line")

        bench.backend.cancel(handle)

        assert b"checkpoint" in bench.output(handle).splitlines()
        assert bench.ended(handle).ranks[0].exit_code == 143

    def test_cancel_lets_a_program_end_by_its_own_exit_code(self, bench: Bench) -> None:
        handle = bench.start(
            ("sh", "-c", "trap 'echo checkpoint; exit 5' TERM; echo ready; while :; do sleep 0.1; done")
        )
        bench.running(handle)
        bench.until(handle, lambda _status: bench.read(handle), "the program's first line")

        bench.backend.cancel(handle)

        assert bench.ended(handle).ranks[0].exit_code == 5
        assert b"checkpoint" in bench.output(handle).splitlines()

    def test_cancel_asks_and_does_not_wait(self, bench: Bench) -> None:
        witness = bench.ticking("trap '' TERM; ", grace=self.patience)
        assert witness.handle is not None

        bench.backend.cancel(witness.handle)

        witness.goes_on()

    def test_force_stops_a_program_that_ignores_term(self, bench: Bench) -> None:
        witness = bench.ticking("trap '' TERM; ")
        assert witness.handle is not None
        bench.backend.cancel(witness.handle)

        bench.backend.cancel(witness.handle, force=True)

        witness.falls_silent()
        bench.ended(witness.handle)

    def test_cancel_reaches_grandchildren(self, bench: Bench) -> None:
        witness = bench.witness()
        line = f"(({witness.ticking}) & wait) & wait"
        witness.handle = bench.start(line, mounts=witness.mounts)
        witness.seen()

        bench.backend.cancel(witness.handle)

        witness.falls_silent()
        bench.ended(witness.handle)

    def test_cancel_reaches_a_descendant_in_a_session_of_its_own(self, bench: Bench) -> None:
        witness = bench.witness()
        witness.handle = bench.start(shell('setsid sh -c "$1" & wait', witness.ticking), mounts=witness.mounts)
        witness.seen()

        bench.backend.cancel(witness.handle)

        witness.falls_silent()
        bench.ended(witness.handle)

    def test_nothing_runs_on_when_the_program_has_ended(self, bench: Bench) -> None:
        witness = bench.witness()
        line = f"({witness.ticking}) & sleep 1; exit 0"
        witness.handle = bench.start(line, mounts=witness.mounts)

        assert bench.ended(witness.handle).state is JobState.SUCCEEDED
        witness.falls_silent()
        bench.follow(witness.handle)

    def test_cancel_after_the_end_changes_nothing(self, bench: Bench) -> None:
        handle = bench.start("echo kept; exit 3")
        before = bench.ended(handle)
        bench.follow(handle)

        bench.backend.cancel(handle)
        bench.backend.cancel(handle, force=True)

        assert bench.ended(handle) == before
        assert bench.output(handle) == b"kept\n"

    def test_cancel_keeps_output_and_exit_code(self, bench: Bench) -> None:
        handle = bench.start("echo before; sleep 60")
        bench.running(handle)
        bench.until(handle, lambda _status: bench.read(handle), "the first line")

        bench.backend.cancel(handle)

        assert bench.ended(handle).ranks[0].exit_code == 143
        printed = bench.output(handle)
        assert printed.splitlines()[0] == b"before"
        assert bench.output(handle) == printed

    def test_cancel_touches_no_other_job(self, bench: Bench) -> None:
        other, witness = bench.ticking(), bench.ticking()
        assert witness.handle is not None

        bench.backend.cancel(witness.handle, force=True)

        witness.falls_silent()
        other.goes_on()

    def test_nothing_happens_to_an_unknown_job(self, bench: Bench) -> None:
        handle = unknown_handle(bench)

        bench.backend.cancel(handle)
        bench.backend.cancel(handle, force=True)
        bench.backend.release(handle)
        bench.backend.remove(handle)

        assert bench.backend.status([handle]) == {}
