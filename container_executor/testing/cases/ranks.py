"""Several ranks: who they are, how they meet, and whose failure it was."""

from container_executor.models import JobState, JobStatus
from container_executor.testing.bench import Bench, joined, shell, wait_for
from container_executor.testing.cases.base import Cases
from container_executor.testing.features import needs

_FOUR = {"nodes": 2, "processes_per_node": 2}

_MEET = """
if [ $RANK = 0 ]; then
    other=1
    while [ $other -lt $WORLD_SIZE ]; do {netcat} -l -p $((MASTER_PORT + other)) < /dev/null || exit 1; other=$((other + 1)); done
else
    echo "rank $RANK was here" > "$HOME/said-$RANK"
    until {netcat} $MASTER_ADDR $((MASTER_PORT + RANK)) < "$HOME/said-$RANK"; do sleep 0.2; done
fi
"""


class RankCases(Cases):
    @needs("ranks")
    def test_each_rank_knows_who_it_is(self, bench: Bench) -> None:
        job = bench.job('echo "$MASTER_PORT $RANK $WORLD_SIZE $LOCAL_RANK $NODE_RANK $COLONIES_PROCESS_ID"', **_FOUR)
        handle = bench.submit(job)
        assert handle.ranks == 4

        lines = [line for chunk in bench.follow(handle) for line in chunk.lines]

        port, _, _ = lines[0].data.decode().partition(" ")
        expected = {rank: f"{port} {rank} 4 {rank % 2} {rank // 2} {job.mark.process_id}".encode() for rank in range(4)}
        assert len(lines) == 4
        assert {line.rank: line.data for line in lines} == expected
        assert 1024 <= int(port) < 65536

    @needs("ranks")
    def test_a_job_succeeded_when_every_rank_did(self, bench: Bench) -> None:
        status = bench.ended(bench.start("true", **_FOUR))

        assert status.state is JobState.SUCCEEDED
        assert [(rank.rank, rank.exit_code) for rank in status.ranks] == [(0, 0), (1, 0), (2, 0), (3, 0)]

    @needs("ranks")
    def test_the_lines_of_each_rank_are_complete_and_in_order(self, bench: Bench) -> None:
        handle = bench.start('i=0; while [ $i -lt 300 ]; do i=$((i + 1)); echo "$RANK-$i"; done', **_FOUR)

        lines = [line for chunk in bench.follow(handle, limit=2048) for line in chunk.lines]

        for rank in range(4):
            printed = joined([line for line in lines if line.rank == rank])
            assert printed == "".join(f"{rank}-{number}\n" for number in range(1, 301)).encode()

    @needs("ranks")
    def test_the_rank_that_failed_is_named(self, bench: Bench) -> None:
        handle = bench.start("if [ $RANK = 1 ]; then sleep 1; exit 3; fi; sleep 60", **_FOUR)

        status = bench.until(handle, lambda status: status.failed_rank, "the failure of a rank")

        assert status.failed_rank is not None
        assert (status.failed_rank.rank, status.failed_rank.exit_code) == (1, 3)
        bench.backend.cancel(handle)
        ended = bench.ended(handle)
        assert ended.state is not JobState.SUCCEEDED
        assert [rank.exit_code for rank in ended.ranks] == [143, 3, 143, 143]

    @needs("ranks")
    def test_one_rank_that_ended_is_not_the_end(self, bench: Bench) -> None:
        handle = bench.start("[ $RANK = 0 ] || sleep 60", **_FOUR)

        status = bench.until(
            handle, lambda status: any(rank.exit_code == 0 for rank in status.ranks), "the end of rank 0"
        )

        assert status.state is JobState.RUNNING
        assert not bench.backend.logs(handle).end

    @needs("ranks")
    def test_cancel_stops_every_rank(self, bench: Bench) -> None:
        witness = bench.ticking(**_FOUR)
        assert witness.handle is not None
        bench.until(witness.handle, _all_run, "four ranks that run")

        bench.backend.cancel(witness.handle)

        witness.falls_silent()
        assert [rank.exit_code for rank in bench.ended(witness.handle).ranks] == [143] * 4

    @needs("ranks", "network")
    def test_four_ranks_meet_at_the_master_address(self, bench: Bench) -> None:
        handle = bench.start(shell(_MEET.replace("{netcat}", self.netcat)), **_FOUR)

        assert sorted(bench.output(handle).splitlines()) == [f"rank {rank} was here".encode() for rank in (1, 2, 3)]
        assert bench.ended(handle).state is JobState.SUCCEEDED

    @needs("ranks", "nodes")
    def test_two_nodes_are_two_machines(self, bench: Bench) -> None:
        status = bench.ended(bench.start("true", **_FOUR))

        first, second, third, fourth = (rank.node for rank in status.ranks)
        assert first == second
        assert third == fourth
        assert first != third
        assert all((first, third))

    @needs("held")
    def test_no_rank_starts_before_the_release(self, bench: Bench) -> None:
        fields = {} if "ranks" in self.lacks else _FOUR
        handle = bench.start("echo started", **fields)

        def held() -> bool:
            status = bench.backend.status([handle]).get(handle.job_id)
            return status is not None and status.state is JobState.HELD

        wait_for(held, self.patience, "the state held")
        assert bench.read(handle) == []

        bench.backend.release(handle)

        assert bench.output(handle) == b"started\n"
        assert bench.ended(handle).state is JobState.SUCCEEDED

    def test_releasing_a_job_that_is_not_held_changes_nothing(self, bench: Bench) -> None:
        witness, ended = bench.ticking(), bench.start("exit 3")
        assert witness.handle is not None
        before = bench.ended(ended)

        bench.backend.release(witness.handle)
        bench.backend.release(ended)

        witness.goes_on()
        assert bench.running(witness.handle).state is JobState.RUNNING
        assert bench.ended(ended) == before


def _all_run(status: JobStatus) -> bool:
    return [rank.state for rank in status.ranks] == [JobState.RUNNING] * 4
