"""What a daemon does with a job for which the real Docker has no room now, or never will."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from colonies import Colony, DaemonProgram, wait_for
from sites import SiteOfTests

from container_executor.client import ProcessState

MakeDaemon = Callable[..., DaemonProgram]
RANK = 500
"""Millicores of a rank."""


@pytest.fixture(scope="module")
def backend_name() -> str:
    return "docker"


@pytest.fixture
def cores(api: Any) -> int:
    """The processors of the engine."""
    return int(api.info()["NCPU"])


@pytest.fixture
def daemon(site: SiteOfTests, make_daemon: MakeDaemon) -> DaemonProgram:
    made = make_daemon(backend="docker", options=site.options)
    made.start()
    return made


@pytest.fixture
def taken(api: Any, cores: int, site: SiteOfTests) -> Iterator[str]:
    """A container that is no job of a daemon that starts later, and leaves room for one rank only."""
    labels = {"container-executor.owner": site.owner, "container-executor.cpu": str(cores * 1000 - RANK)}
    made = api.create_container(site.image, ["sleep", "600"], labels=labels)["Id"]
    try:
        api.start(made)
        yield made
    finally:
        api.remove_container(made, force=True)


def test_a_job_for_which_there_is_no_room_now_waits_for_it(
    colony: Colony, site: SiteOfTests, api: Any, taken: str, make_daemon: MakeDaemon
) -> None:
    make_daemon(backend="docker", options=site.options).start()
    waiting = colony.submit("true", image=site.image, conditions={"cpu": f"{RANK}m", "processespernode": 2})
    wait_for(lambda: f"queued: waits for cpu {2 * RANK} of {RANK}" in colony.log(waiting), "the reason why it waits")

    api.kill(taken)

    assert colony.wait(waiting).state is ProcessState.SUCCESS


@pytest.mark.usefixtures("daemon")
def test_a_job_that_waits_for_another_of_ours_runs_when_that_has_ended(
    colony: Colony, site: SiteOfTests, cores: int
) -> None:
    first = colony.submit("echo begun; sleep 600", image=site.image, conditions={"cpu": f"{cores * 1000 - RANK}m"})
    wait_for(lambda: "begun" in colony.output(first), "its first line")
    waiting = colony.submit("true", image=site.image, conditions={"cpu": f"{RANK}m", "processespernode": 2})
    wait_for(lambda: "queued: waits for cpu" in colony.log(waiting), "the reason why it waits")

    colony.call(colony.client.cancel, first)

    assert colony.wait(waiting).state is ProcessState.SUCCESS


@pytest.mark.usefixtures("daemon")
def test_a_job_for_which_there_will_never_be_room_is_refused_at_once(
    colony: Colony, site: SiteOfTests, cores: int
) -> None:
    ranks = cores * 1000 // RANK + 1

    refused = colony.wait(
        colony.submit("true", image=site.image, conditions={"cpu": f"{RANK}m", "processespernode": ranks})
    )

    assert refused.state is ProcessState.FAILED
    assert f"this site never has it: cpu {ranks * RANK} of {cores * 1000} millicores" in refused.errors[0]
