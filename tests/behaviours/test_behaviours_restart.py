"""A daemon that is killed, on every engine: what runs goes on, and each job ends once with its whole log."""

from collections.abc import Callable
from functools import partial

import pytest
from colonies import Colony, DaemonProgram, wait_for
from sites import SiteOfTests

from container_executor.client import ProcessState

JOBS = 10


@pytest.fixture
def patience(site: SiteOfTests) -> float:
    return 60.0 * site.slack


@pytest.fixture
def runner(site: SiteOfTests, make_daemon: Callable[..., DaemonProgram]) -> DaemonProgram:
    return make_daemon(backend=site.backend, options=site.options)


def test_ten_jobs_go_on_while_the_daemon_is_dead_and_end_once(
    colony: Colony, runner: DaemonProgram, site: SiteOfTests, patience: float
) -> None:
    runner.start()
    line = "for i in 1 2 3 4 5 6; do echo line $i; sleep 0.5; done; exit {0}"
    processes = [colony.submit(line.format(n), image=site.image, maxexectime=600) for n in range(JOBS)]
    for process_id in processes:
        wait_for(partial(_begun, colony, process_id), "a first line", patience)

    runner.kill()
    runner.start()

    for number, process_id in enumerate(processes):
        ended = colony.wait(process_id, patience=patience)
        assert ended.state is (ProcessState.FAILED if number else ProcessState.SUCCESS)
        assert colony.outcome(process_id)["exitcode"] == str(number)
        assert colony.verdict(process_id)["launch"] == 1
        assert colony.output(process_id) == [f"line {i}" for i in range(1, 7)]


def test_a_job_that_is_cancelled_while_the_daemon_is_dead_is_ended_by_the_next_start(
    colony: Colony, runner: DaemonProgram, site: SiteOfTests, patience: float
) -> None:
    runner.start()
    process_id = colony.submit("echo line 1; sleep 500", image=site.image, maxexectime=600)
    wait_for(partial(_begun, colony, process_id), "its first line", patience)
    runner.kill()
    colony.call(colony.client.cancel, process_id)

    runner.start()

    wait_for(lambda: "clearing away" in runner.log(), "its end", patience)
    after = colony.submit("echo fine", image=site.image)
    assert colony.wait(after, patience=patience).state is ProcessState.SUCCESS
    assert colony.process(process_id).state is ProcessState.CANCELLED


def _begun(colony: Colony, process_id: str) -> bool:
    return "line 1" in colony.output(process_id)
