"""Each way in which a job can fail on the real Docker reaches its user by name, with what to do about it, in the error and in the log."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import attrs
import pytest
from colonies import Colony, DaemonProgram, wait_for
from docker_left import containers, docker_api
from docker_spare import spare_engine
from docker_support import EAT, Registry, Spare
from files import Rig
from sites import SiteOfTests
from stored import FILES, Stored, rig, stored
from wire import Fault, Wire

from container_executor.client import ProcessState
from container_executor.models import FailureClass
from container_executor.testing import require_engine

__all__ = ["rig", "stored"]

MakeDaemon = Callable[..., DaemonProgram]
AT_ONCE = 10.0
"""Seconds within which a failure is named."""
AFTER_A_WHILE = 60.0
"""Seconds within which it is believed that a container is gone."""


@pytest.fixture(scope="module")
def backend_name() -> str:
    return "docker"


def named(colony: Colony, process_id: str, failure: FailureClass, within: float = AT_ONCE) -> str:
    """Wait for a failure of that class; return the error, which the log has too."""
    process = colony.wait(process_id, patience=within)
    assert process.state is ProcessState.FAILED
    (error,) = process.errors
    assert error.startswith(f"{failure.value}: "), error
    assert error.endswith(f"({failure.hint})"), error
    assert error in colony.log(process_id)
    assert colony.verdict(process_id)["failure"] == failure.value
    return error


@pytest.fixture(scope="module", autouse=True)
def removed(house: Colony, site: SiteOfTests) -> str:
    """A process whose container somebody has removed. It is believed to be gone only after half a minute: the last test looks."""
    process_id = house.submit("echo begun; sleep 300", maxexectime=600)
    wait_for(lambda: "begun" in house.output(process_id), "its first line")
    with docker_api(require_engine("docker")) as api:
        (name,) = containers(api, site.owner, process_id)
        api.remove_container(name, force=True)
    return process_id


@attrs.frozen
class Case:
    """A job that fails."""

    failure: FailureClass
    line: str = "true"
    fields: Mapping[str, Any] = attrs.field(factory=dict)


CASES = {
    "its own end": Case(FailureClass.USER_EXIT, "exit 3"),
    "memory": Case(FailureClass.OOM, EAT, {"conditions": {"mem": "32Mi"}}),
    "memory of a child": Case(FailureClass.OOM, f"({EAT}); exit 0", {"conditions": {"mem": "32Mi"}}),
    "walltime": Case(FailureClass.WALLTIME, "sleep 60", {"conditions": {"walltime": 1}}),
    "lease": Case(FailureClass.LEASE_EXPIRED, "sleep 60", {"maxexectime": 4}),
    "an image without a shell": Case(FailureClass.INVALID_SPEC, fields={"image": "noshell:latest"}),
    "too little memory": Case(FailureClass.INVALID_SPEC, fields={"conditions": {"mem": "1Mi"}}),
    "too many processors": Case(
        FailureClass.UNSCHEDULABLE, fields={"conditions": {"cpu": "500m", "processespernode": 64}}
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=[name.replace(" ", "-") for name in CASES])
def test_a_job_that_fails_is_told_why_and_what_to_do(house: Colony, case: Case) -> None:
    process_id = house.submit(case.line, **case.fields)

    named(house, process_id, case.failure)


# --- images -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def registry() -> Iterator[Registry]:
    with Registry.before(require_engine("registry")["CE_REGISTRY_OPEN"]) as registry:
        yield registry


def test_an_image_that_the_registry_does_not_have(house: Colony, registry: Registry) -> None:
    named(house, house.submit("true", image=f"{registry.address}/no/such:1"), FailureClass.IMAGE_NOT_FOUND)


def test_an_image_that_needs_a_login(house: Colony) -> None:
    image = require_engine("registry")["CE_REGISTRY_IMAGE"]

    named(house, house.submit("true", image=image), FailureClass.IMAGE_AUTH)


@pytest.mark.parametrize("status", [429, 503])
def test_a_registry_that_does_not_answer_is_asked_until_the_lease_ends(
    house: Colony, registry: Registry, status: int
) -> None:
    registry.status["/manifests/"] = status

    process_id = house.submit("true", image=registry.fresh, maxexectime=10)

    named(house, process_id, FailureClass.IMAGE_TRANSIENT)
    assert "waiting: image_transient: " in house.log(process_id)


# --- the engine -------------------------------------------------------------------------------------------------------


def test_a_container_that_cannot_start_is_tried_again_and_then_named(
    colony: Colony, site: SiteOfTests, make_daemon: MakeDaemon
) -> None:
    options = (*site.options, 'backends.docker.ulimits={"nofile": "2000000000"}')
    daemon = make_daemon(backend="docker", options=options)
    daemon.start()
    wait_for(lambda: '"running"' in daemon.log(), "its registration")

    process_id = colony.submit("true", image=site.image)

    assert "rlimit" in named(colony, process_id, FailureClass.NEVER_STARTED, 3 * AT_ONCE)
    assert "launch 1 failed: never_started: " in colony.log(process_id)


@pytest.fixture
def spare() -> Iterator[Spare]:
    with spare_engine(require_engine("docker")) as call:
        yield call


@pytest.fixture
def spare_site(spare: Spare, site: SiteOfTests) -> SiteOfTests:
    """A site whose engine a test may break."""
    host = f"backends.docker.host={spare('up')}"
    kept = [option for option in site.options if not option.startswith(("backends.docker.host=", "executor.owner="))]
    return attrs.evolve(site, options=(*kept, host))


def test_an_engine_that_is_away_is_waited_for_until_the_lease_ends(
    colony: Colony, spare: Spare, spare_site: SiteOfTests, make_daemon: MakeDaemon
) -> None:
    daemon = make_daemon(backend="docker", options=spare_site.options)
    daemon.start()
    first = colony.submit("true", image=spare_site.image)
    assert colony.wait(first).state is ProcessState.SUCCESS

    spare("stop")
    process_id = colony.submit("true", image=spare_site.image, maxexectime=10)

    named(colony, process_id, FailureClass.ENGINE_UNAVAILABLE)
    assert "waiting: engine_unavailable: " in colony.log(process_id)


def test_a_full_disk_of_the_engine_is_named(
    colony: Colony, spare: Spare, spare_site: SiteOfTests, make_daemon: MakeDaemon
) -> None:
    make_daemon(backend="docker", options=spare_site.options).start()
    spare("fill")

    full = colony.submit("true", image=spare_site.image)
    named(colony, full, FailureClass.DISK_FULL)
    spare("free")

    after = colony.submit("true", image=spare_site.image)
    assert colony.wait(after).state is ProcessState.SUCCESS


# --- files ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def wire(site: SiteOfTests, make_daemon: MakeDaemon, stored: Stored) -> Wire:
    """The way of a daemon to the store of files."""
    make_daemon(backend="docker", options=(*site.options, *stored.options)).start(**stored.variables)
    return stored.wire


def test_files_that_cannot_be_brought_in(colony: Colony, site: SiteOfTests, rig: Rig, wire: Wire) -> None:
    rig.sync(rig.place("here", {"input": "input"}), "/data")
    wire.always("^GET ", Fault.DENY)

    process_id = colony.submit("cat /ce-cfs/data/input", image=site.image, fs=FILES)

    named(colony, process_id, FailureClass.STAGING_IN)


def test_results_that_cannot_be_stored(colony: Colony, site: SiteOfTests, rig: Rig, wire: Wire) -> None:
    rig.sync(rig.place("here", {"input": "input"}), "/data")
    wire.always("^(PUT|POST) ", Fault.DENY)

    process_id = colony.submit("echo result > /ce-cfs/data/result", image=site.image, fs=FILES)

    assert "they are kept in" in named(colony, process_id, FailureClass.STAGING_OUT)


# --- and one that takes longer ----------------------------------------------------------------------------------------


def test_a_container_that_somebody_removed_has_vanished(house: Colony, removed: str) -> None:
    named(house, removed, FailureClass.VANISHED, AFTER_A_WHILE)
