"""A clock that somebody sets while jobs run: nothing is stopped early, nothing late, and every verdict is right."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from colonies import Colony, DaemonProgram, wait_for
from proxy import Proxy
from sites import site_of

from container_executor.client import ProcessState

HOUR = 3600


@pytest.mark.parametrize("backend", ["process", "docker"])
@pytest.mark.parametrize("jump", [HOUR, -HOUR], ids=["forward", "back"])
def test_jobs_do_not_notice_that_the_daemon_s_clock_is_set(
    colony: Colony, make_daemon: Callable[..., DaemonProgram], tmp_path: Path, backend: str, jump: int
) -> None:
    site, clock = site_of(backend), tmp_path / "clock"
    _set(clock, 0)
    make_daemon(backend=backend, options=site.options).start(CE_CLOCK=str(clock))
    good = colony.submit("echo begun; sleep 6; echo done", image=site.image)
    bad = colony.submit("sleep 6; exit 9", image=site.image)
    wait_for(lambda: "begun" in colony.output(good), "its first line")

    _set(clock, jump)
    long = colony.submit("sleep 60", image=site.image, maxexectime=5)
    short = colony.submit("sleep 60", image=site.image, conditions={"walltime": 1})

    assert colony.wait(long).state is ProcessState.FAILED
    assert colony.wait(short).state is ProcessState.FAILED
    assert colony.wait(good).state is ProcessState.SUCCESS
    assert colony.wait(bad).state is ProcessState.FAILED
    assert colony.outcome(bad)["exitcode"] == "9"
    assert '"lease_expired"' in colony.outcome(long)["outcome"]
    assert '"walltime"' in colony.outcome(short)["outcome"]


def test_a_clock_that_was_set_while_the_daemon_was_down_ends_no_job(
    colony: Colony, daemon: DaemonProgram, tmp_path: Path
) -> None:
    clock, begun, go = tmp_path / "clock", tmp_path / "begun", tmp_path / "go"
    _set(clock, 0)
    daemon.start(CE_CLOCK=str(clock))
    process_id = colony.submit(
        f"touch {begun}; until [ -e {go} ]; do sleep 0.1; done; echo done", conditions={"walltime": 100}
    )
    wait_for(begun.exists, "its start")

    daemon.kill()
    _set(clock, HOUR)
    daemon.start(CE_CLOCK=str(clock))
    other = colony.submit("true")
    assert colony.wait(other).state is ProcessState.SUCCESS
    go.touch()

    assert colony.wait(process_id).state is ProcessState.SUCCESS
    assert colony.output(process_id) == ["done"]


@pytest.mark.parametrize("shift", [timedelta(hours=1), timedelta(hours=-1)], ids=["fast", "slow"])
def test_a_server_whose_date_is_wrong_makes_no_lease_longer_or_shorter(
    colony: Colony, proxy: Proxy, make_daemon: Callable[..., DaemonProgram], shift: timedelta
) -> None:
    proxy.date_shift = shift
    daemon = make_daemon(port=proxy.port)
    daemon.start()
    good = colony.submit("sleep 1; echo done", maxexectime=10)
    long = colony.submit("sleep 60", maxexectime=5)

    assert colony.wait(good).state is ProcessState.SUCCESS
    ended = colony.wait(long)
    assert "lease_expired" in ended.errors[0]


def _set(clock: Path, seconds: float) -> None:
    """Set the clock that the daemon reads, at once."""
    fresh = clock.with_suffix(".new")
    fresh.write_text(str(seconds))
    fresh.replace(clock)
