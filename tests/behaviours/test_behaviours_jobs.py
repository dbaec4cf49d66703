"""What a user gets for a job, through server, daemon and engine: the same on every engine."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from colonies import Colony, wait_for
from sites import SiteOfTests

from container_executor.client import ProcessState
from container_executor.testing import outcome_table

SPECS = Path(__file__).parents[2] / "examples" / "specs"
LINES = 2000


@pytest.fixture
def patience(site: SiteOfTests) -> float:
    return 60.0 * site.slack


def test_the_example_of_four_ranks_prints_its_line_four_times_by_rank(
    house: Colony, site: SiteOfTests, patience: float
) -> None:
    program = [sys.executable, "-m", "container_executor.cli", "submit", "--follow"]
    image = ["--set", f"kwargs.docker-image={site.image}"]
    run = subprocess.run(
        [*program, *image, str(SPECS / "hello_2x2.json")],
        env=house.environ(), capture_output=True, text=True, timeout=patience, check=False,
    )  # fmt: skip

    assert run.returncode == 0, run.stderr
    lines = [line for line in run.stdout.splitlines() if not line.startswith("ColonyOS: ")]
    assert sorted(lines) == [f"[{rank}] Hello, World!" for rank in range(4)]
    (process_id,) = re.findall(r"[0-9a-f]{64}", run.stderr)[:1]
    assert sorted(house.output(process_id)) == sorted(lines)
    assert house.verdict(process_id)["succeeded"] is True
    assert house.outcome(process_id)["exitcode"] == "0"


def test_every_way_to_end_has_the_verdict_of_the_outcome_table(house: Colony, patience: float) -> None:
    rows = outcome_table()
    ids = [house.submit(row.argv[0], *row.argv[1:], maxexectime=600) for row in rows]

    for row, process_id in zip(rows, ids, strict=True):
        ended = house.wait(process_id, patience=2 * patience)
        verdict = house.verdict(process_id)
        assert ended.state is (ProcessState.SUCCESS if row.outcome.exit_code == 0 else ProcessState.FAILED), row.name
        assert verdict["exit_code"] == row.outcome.exit_code, row.name
        assert verdict.get("failure") == (row.outcome.failure and row.outcome.failure.value), row.name
        assert house.outcome(process_id)["exitcode"] == str(row.outcome.exit_code), row.name


def test_a_user_s_failure_is_final_and_its_reason_is_in_the_log_and_in_the_close(
    house: Colony, patience: float
) -> None:
    process_id = house.submit("echo oops; exit 1", maxretries=3)

    ended = house.wait(process_id, patience=patience)

    assert (ended.state, ended.attempt) == (ProcessState.FAILED, 0)
    assert "user_exit" in ended.errors[0]
    assert "user_exit" in house.log(process_id)


def test_why_a_process_failed_stands_after_all_of_its_output(house: Colony, patience: float) -> None:
    process_id = house.submit("seq 1 50000; printf last; exit 1")

    house.wait(process_id, patience=patience)

    lines = house.log(process_id).splitlines()
    assert lines[-2] == "last"
    assert lines[-1].startswith("ColonyOS: user_exit: ")


def test_the_first_rank_that_fails_ends_the_others_and_is_named(house: Colony, patience: float) -> None:
    process_id = house.submit(
        'if [ "$RANK" = 1 ]; then sleep 1; exit 3; fi; sleep 100', conditions={"processespernode": 3}
    )

    house.wait(process_id, patience=patience)

    verdict = house.verdict(process_id)
    assert (verdict["rank"], verdict["exit_code"], verdict["failure"]) == (1, 3, "user_exit")


def test_a_job_that_outlives_its_walltime_may_save_its_work(house: Colony, patience: float) -> None:
    process_id = house.submit(
        "trap 'echo saved; exit 0' TERM; echo begun; i=0; while [ $i -lt 600 ]; do sleep 0.1; i=$((i+1)); done",
        conditions={"walltime": 3}, maxexectime=120,
    )  # fmt: skip

    ended = house.wait(process_id, patience=patience)

    assert ended.state is ProcessState.FAILED
    assert house.verdict(process_id)["failure"] == "walltime"
    assert house.output(process_id)[0] == "begun"
    assert "saved" in house.output(process_id)


def test_a_process_that_is_cancelled_takes_its_job_with_it(house: Colony, patience: float) -> None:
    process_id = house.submit("echo begun; sleep 300", maxexectime=600)
    neighbour = house.submit("sleep 4; echo fine")
    wait_for(lambda: "begun" in house.output(process_id), "its first line", patience)

    house.call(house.client.cancel, process_id)

    assert house.wait(neighbour, patience=patience).state is ProcessState.SUCCESS
    assert house.process(process_id).state is ProcessState.CANCELLED
    assert house.output(neighbour) == ["fine"]


def test_every_line_of_every_rank_arrives_once_and_in_order(house: Colony, patience: float) -> None:
    process_id = house.submit(
        f"i=0; while [ $i -lt {LINES} ]; do echo line $i; i=$((i+1)); done", conditions={"processespernode": 4}
    )

    assert house.wait(process_id, patience=2 * patience).state is ProcessState.SUCCESS
    lines = house.output(process_id)
    for rank in range(4):
        mine = [line for line in lines if line.startswith(f"[{rank}] ")]
        assert mine == [f"[{rank}] line {i}" for i in range(LINES)]
    assert len(lines) == 4 * LINES


def test_output_that_is_no_text_does_no_harm(house: Colony, patience: float) -> None:
    process_id = house.submit(
        "head -c 300000 /dev/zero | tr '\\0' x; echo; head -c 256 /dev/urandom; echo; printf 'a\\000b\\n'; echo last"
    )

    assert house.wait(process_id, patience=patience).state is ProcessState.SUCCESS
    lines = house.log(process_id).splitlines()
    assert "x" * 300_000 in lines
    assert "ab" in lines
    assert lines[-1] == "last"


def test_what_rank_0_leaves_as_output_becomes_the_output_of_the_process(house: Colony, patience: float) -> None:
    process_id = house.submit("""echo '["model.pt", 0.93, {"epochs": 3}]' > $COLONIES_OUTPUT""")

    house.wait(process_id, patience=patience)

    assert house.process(process_id).output == ["model.pt", 0.93, {"epochs": 3}]


def test_a_number_that_the_server_would_round_stays_what_the_job_wrote(house: Colony, patience: float) -> None:
    process_id = house.submit("""echo '[9007199254740993, "ok"]' > $COLONIES_OUTPUT""")

    assert house.wait(process_id, patience=patience).state is ProcessState.SUCCESS
    (text,) = house.process(process_id).output
    assert json.loads(text) == [9007199254740993, "ok"]
