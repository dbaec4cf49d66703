"""Jobs on the real Docker whose verdict is easily got wrong: each ends as it really ended, and nothing of it goes on."""

import secrets
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from colonies import Colony, DaemonProgram, wait_for
from docker_left import containers
from docker_support import EAT
from sites import SiteOfTests

from container_executor.client import Process, ProcessState
from container_executor.models import FailureClass

MakeDaemon = Callable[..., DaemonProgram]
GONE = 15.0
"""Seconds within which a container is gone whose process was cancelled, besides the grace."""


@pytest.fixture(scope="module")
def backend_name() -> str:
    return "docker"


@pytest.fixture
def owner(site: SiteOfTests) -> str:
    """Whose the containers of the module's daemon are."""
    return site.owner


def failed(colony: Colony, process_id: str, failure: FailureClass) -> Process:
    """Wait for a failure of that class, told with what to do about it."""
    process = colony.wait(process_id)
    assert process.state is ProcessState.FAILED
    assert process.errors[0].startswith(f"{failure.value}: ")
    assert failure.hint in process.errors[0]
    return process


def test_two_hundred_megabytes_under_a_limit_of_thirty_two_are_out_of_memory(house: Colony) -> None:
    process_id = house.submit(EAT, conditions={"mem": "32Mi"})

    failed(house, process_id, FailureClass.OOM)
    assert house.verdict(process_id)["exit_code"] == 137


def test_a_program_beyond_its_walltime_is_no_success(house: Colony) -> None:
    failed(house, house.submit("sleep 30", conditions={"walltime": 5}), FailureClass.WALLTIME)


def test_a_program_that_takes_longer_than_maxexectime_is_ended_and_fails(house: Colony, api: Any, owner: str) -> None:
    process_id = house.submit("sleep 8; echo too late", maxexectime=5)

    failed(house, process_id, FailureClass.LEASE_EXPIRED)
    assert "too late" not in house.output(process_id)
    wait_for(lambda: not containers(api, owner, process_id), "the end of its container", GONE)


def test_a_process_that_is_removed_while_it_runs_takes_its_container_with_it(
    house: Colony, api: Any, owner: str
) -> None:
    process_id = house.submit("echo begun; sleep 300", maxexectime=600)
    wait_for(lambda: "begun" in house.output(process_id), "its first line")

    house.call(house.client.as_(house.owner).remove_all)

    wait_for(lambda: not containers(api, owner, process_id), "the end of its container", 10 + GONE)
    after = house.submit("echo fine")
    assert house.wait(after).state is ProcessState.SUCCESS


def test_three_jobs_outlive_a_daemon_that_is_killed(
    colony: Colony, site: SiteOfTests, make_daemon: MakeDaemon, api: Any, owner: str
) -> None:
    daemon = make_daemon(backend="docker", options=site.options)
    daemon.start()
    ids = [colony.submit(f"echo begun; sleep 3; echo done; exit {code}", image=site.image) for code in range(3)]
    for process_id in ids:
        wait_for(partial(_begun, colony, process_id), "its first line")
    before = {process_id: containers(api, owner, process_id) for process_id in ids}

    daemon.kill()
    daemon.start()

    for code, process_id in enumerate(ids):
        assert colony.wait(process_id).state is (ProcessState.FAILED if code else ProcessState.SUCCESS)
        assert colony.verdict(process_id)["exit_code"] == code
        assert before[process_id] == [f"ce-{owner[:8]}-{process_id[:16]}-0-1"]
        assert colony.output(process_id) == ["begun", "done"]


def _begun(colony: Colony, process_id: str) -> bool:
    return "begun" in colony.output(process_id)


def test_an_image_that_is_only_here_needs_no_registry(house: Colony, site: SiteOfTests, api: Any) -> None:
    name = f"only-here-{secrets.token_hex(4)}"
    api.tag(site.image, name, "1")
    try:
        process_id = house.submit("echo fine", image=f"{name}:1")

        assert house.wait(process_id).state is ProcessState.SUCCESS
        assert house.output(process_id) == ["fine"]
    finally:
        api.remove_image(f"{name}:1")


def test_a_store_of_files_that_is_dead_is_nothing_to_a_job_without_files(
    colony: Colony, site: SiteOfTests, make_daemon: MakeDaemon
) -> None:
    daemon = make_daemon(backend="docker", options=(*site.options, "cfs.endpoint=127.0.0.1:9", "cfs.bucket=b"))
    daemon.start(AWS_S3_ACCESSKEY="key", AWS_S3_SECRETKEY="secret")
    process_id = colony.submit("echo fine", image=site.image)

    assert colony.wait(process_id).state is ProcessState.SUCCESS
    assert colony.output(process_id) == ["fine"]


def test_a_program_that_reads_its_standard_input_is_not_left_waiting(house: Colony) -> None:
    process_id = house.submit("cat; echo over")

    assert house.wait(process_id).state is ProcessState.SUCCESS
    assert house.output(process_id) == ["over"]


def test_ten_thousand_lines_within_a_short_lease_arrive(house: Colony) -> None:
    process_id = house.submit("seq 10000", maxexectime=10)

    assert house.wait(process_id).state is ProcessState.SUCCESS
    assert house.output(process_id) == [str(number) for number in range(1, 10_001)]
