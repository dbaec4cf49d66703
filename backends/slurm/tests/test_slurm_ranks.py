"""Several ranks on two nodes: where they meet, and how one rank's end becomes the job's, with the core."""

import pytest

from container_executor.execute.library import run_job
from container_executor.models import FailureClass, JobState, LogLine, Mount
from container_executor.testing.bench import Bench, joined, wait_for

pytestmark = pytest.mark.engine("slurm")

FOUR = {"nodes": 2, "processes_per_node": 2}

# Rank 0 sends nothing, not even its end, before it has all: nc sends no more once it has read the end of the other side.
MEET = """
if [ $RANK = 0 ]; then
    : > /ce-witness/$COLONIES_PROCESS_ID
    nc -l -p $MASTER_PORT -e sh -c 'cat >&2'
else
    until [ -e /ce-witness/go ]; do sleep 0.05; done
    until echo "$COLONIES_PROCESS_ID" | nc $MASTER_ADDR $MASTER_PORT; do sleep 0.1; done
fi
"""


def test_two_jobs_on_the_same_nodes_meet_each_at_a_port_of_its_own(bench: Bench) -> None:
    place = bench.folder()
    jobs = [bench.job(MEET, mounts=(Mount(str(place), "/ce-witness"),), nodes=2) for _ in range(2)]
    handles = [bench.submit(job) for job in jobs]
    wait_for(lambda: len([*place.iterdir()]) == 2, bench.patience, "both first ranks")

    (place / "go").touch()

    for job, handle in zip(jobs, handles, strict=True):
        assert bench.output(handle) == f"{job.mark.process_id}\n".encode(), "what reached rank 0 is of its own job"
        assert bench.ended(handle).state is JobState.SUCCEEDED


def test_ports_are_in_the_documented_range(bench: Bench) -> None:
    port = int(bench.printed("echo $MASTER_PORT"))

    assert 20_000 <= port < 32_000
    assert port % 8 == 0


def test_users_variables_do_not_replace_what_ranks_are_told(bench: Bench) -> None:
    line = 'echo "$MASTER_ADDR $MASTER_PORT $RANK $MINE"'

    printed = bench.printed(line, env={"MASTER_ADDR": "nowhere", "MASTER_PORT": "1", "RANK": "9", "MINE": "kept"})

    address, port, rank, mine = printed.decode().split()
    assert (address in ("n1", "n2"), port != "1", rank, mine) == (True, True, "0", "kept")


def test_the_failure_of_one_rank_ends_all_and_is_the_one_named(bench: Bench) -> None:
    witness = bench.witness()
    line = f"if [ $RANK = 2 ]; then until [ -s /ce-witness/trace ]; do sleep 0.1; done; exit 3; fi; {witness.ticking}"

    outcome = run_job(bench.backend, bench.job(line, mounts=witness.mounts, **FOUR))

    assert (outcome.failure, outcome.rank, outcome.exit_code) == (FailureClass.USER_EXIT, 2, 3)
    assert outcome.node == "n2"
    assert "rank 2" in outcome.message
    witness.falls_silent()


def test_a_rank_beyond_its_memory_ends_all_and_is_the_one_named(bench: Bench) -> None:
    line = "if [ $RANK = 1 ]; then tail -c 300000000 /dev/zero; else sleep 600; fi"

    outcome = run_job(bench.backend, bench.job(line, memory=2**26, nodes=2))

    assert (outcome.failure, outcome.rank, outcome.exit_code) == (FailureClass.OOM, 1, 137), outcome


def test_the_lines_of_a_job_run_from_python_are_told_by_rank(bench: Bench) -> None:
    lines: list[LogLine] = []

    outcome = run_job(bench.backend, bench.job("echo $RANK of $WORLD_SIZE", **FOUR), on_log=lines.append)

    assert outcome.succeeded, outcome
    printed = {rank: joined([line for line in lines if line.rank == rank]) for rank in range(4)}
    assert printed == {rank: f"{rank} of 4\n".encode() for rank in range(4)}
