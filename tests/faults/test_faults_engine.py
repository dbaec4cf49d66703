"""An engine that loses replies, refuses, hangs or lies, on every backend: each job runs once, and nothing is concluded from silence."""

import time
from collections.abc import Iterator
from functools import partial

import attrs
import pytest
from anyio.from_thread import BlockingPortal
from colonies import Colony, DaemonProgram, wait_for
from faulty import FaultyEngine, faulty_engine
from sites import ENGINES
from sizes import sizes

from container_executor.client import ProcessState


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest, portal: BlockingPortal) -> Iterator[FaultyEngine]:
    with faulty_engine(request.param, portal) as found:
        yield found


@sizes("jobs", ci=6, soak=50)
def test_a_job_whose_making_was_not_answered_is_made_once_and_runs_once(
    colony: Colony, engine: FaultyEngine, runner: DaemonProgram, patience: float, jobs: int
) -> None:
    engine.lose_replies(jobs)

    ids = [colony.submit("echo ran", image=engine.site.image, maxexectime=600) for _ in range(jobs)]

    for process_id in ids:
        assert colony.wait(process_id, patience=patience).state is ProcessState.SUCCESS, colony.log(process_id)
        assert colony.output(process_id) == ["ran"]
        assert colony.verdict(process_id)["launch"] == 1
    assert engine.made() == jobs


SILENCES = [
    *[(name, how) for name in ("docker", "kube") for how in ("errors", "resets", "hangs")],
    *[("slurm", how) for how in ("errors", "lies", "hangs")],
    ("process", "errors"),
]


@attrs.frozen
class Window:
    """How long an engine does not answer, in seconds, and how long a job of that time runs."""

    silent: float
    short: float
    long: float


LIE = 10.0
"""Seconds for which an engine that says it has no such job may be wrong: after 15 s of it the job has vanished."""


@sizes("window", ci=Window(silent=3, short=1.5, long=7), soak=Window(silent=180, short=60, long=240))
@pytest.mark.parametrize(("engine", "how"), SILENCES, indirect=["engine"])
def test_while_the_engine_does_not_answer_no_verdict_is_made_up(
    colony: Colony, engine: FaultyEngine, runner: DaemonProgram, patience: float, *, how: str, window: Window
) -> None:
    short, long = (
        colony.submit(f"echo begun; sleep {seconds}; exit {code}", image=engine.site.image, maxexectime=600)
        for seconds, code in ((window.short, 6), (window.long, 0))
    )
    for process_id in (short, long):
        wait_for(partial(_begun, colony, process_id), "its first line", patience)

    engine.fall_silent(how)
    time.sleep(min(window.silent, LIE) if how == "lies" else window.silent)  # the fault itself
    meanwhile = [colony.process(process_id).state for process_id in (short, long)]
    if how == "errors":
        wait_for(lambda: runner.health()["engine_unanswered_seconds"] > 0, "the age of the last answer", patience)
    engine.mend()

    assert meanwhile[1] is ProcessState.RUNNING
    assert meanwhile[0] is ProcessState.RUNNING or engine.records
    assert colony.wait(short, patience=patience).state is ProcessState.FAILED
    assert colony.verdict(short)["exit_code"] == 6
    assert colony.wait(long, patience=patience + window.long).state is ProcessState.SUCCESS
    assert runner.health()["engine_unanswered_seconds"] == 0


def _begun(colony: Colony, process_id: str) -> bool:
    return "begun" in colony.output(process_id)
