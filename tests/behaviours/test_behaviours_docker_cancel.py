"""A process that is cancelled while it is queued, pulled for, staged, run or stored, on the real Docker."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from colonies import Colony, DaemonProgram, wait_for
from docker_left import containers
from docker_support import Registry
from files import Rig
from sites import SiteOfTests
from stored import FILES, Stored, rig, stored
from wire import Fault

from container_executor.client import ProcessState
from container_executor.testing import require_engine

__all__ = ["rig", "stored"]

MakeDaemon = Callable[..., DaemonProgram]
Cancelled = Callable[[str], None]
GONE = 15.0
"""Seconds within which a container is gone whose process was cancelled, besides the grace."""


@pytest.fixture(scope="module")
def backend_name() -> str:
    return "docker"


@pytest.fixture
def daemon(site: SiteOfTests, make_daemon: MakeDaemon, stored: Stored) -> DaemonProgram:
    """A daemon with two processors and files."""
    made = make_daemon(backend="docker", options=(*site.options, "executor.cpu=2", *stored.options))
    made.start(**stored.variables)
    return made


@pytest.fixture
def cancelled(colony: Colony, site: SiteOfTests, daemon: DaemonProgram, api: Any) -> Cancelled:
    """Cancel a process and see that it leaves nothing, and that the daemon goes on with others."""

    def check(process_id: str) -> None:
        colony.call(colony.client.cancel, process_id)
        owner = site.owner
        wait_for(lambda: daemon.log().count("process left open") == 1, "its end", 10 + GONE)
        wait_for(lambda: not containers(api, owner, process_id), "the end of its container", GONE)
        after = colony.submit("echo fine", image=site.image)
        assert colony.wait(after).state is ProcessState.SUCCESS
        assert colony.process(process_id).state is ProcessState.CANCELLED
        assert '"outcome": "cancelled"' in daemon.log()
        assert '"level": "error"' not in daemon.log()

    return check


def test_while_it_waits_for_room(
    colony: Colony, site: SiteOfTests, daemon: DaemonProgram, cancelled: Cancelled
) -> None:
    first = colony.submit("echo begun; sleep 10; echo done", image=site.image, conditions={"cpu": "1500m"})
    wait_for(lambda: "begun" in colony.output(first), "its first line")
    waiting = colony.submit("true", image=site.image, conditions={"cpu": "500m", "processespernode": 3})
    wait_for(lambda: "queued: waits for cpu" in colony.log(waiting), "the reason why it waits")

    cancelled(waiting)

    assert colony.wait(first).state is ProcessState.SUCCESS
    assert colony.output(first) == ["begun", "done"]


def test_while_its_image_is_pulled(colony: Colony, daemon: DaemonProgram, cancelled: Cancelled, api: Any) -> None:
    with Registry.before(require_engine("registry")["CE_REGISTRY_OPEN"]) as registry:
        registry.held["/blobs/"] = threading.Event()
        process_id = colony.submit("true", image=registry.fresh)
        wait_for(registry.blobs, "the pull of a layer")

        cancelled(process_id)

        assert not api.images(registry.fresh)


def test_while_its_files_come_in(
    colony: Colony, site: SiteOfTests, rig: Rig, stored: Stored, cancelled: Cancelled
) -> None:
    rig.sync(rig.place("here", {"input": "input"}), "/data")
    stored.wire.always("^GET .*", Fault.SILENT)
    process_id = colony.submit("cat /ce-cfs/data/input", image=site.image, fs=FILES)
    wait_for(lambda: "Download:1" in colony.log(process_id), "the beginning of the transfer")

    cancelled(process_id)

    assert colony.output(process_id) == []


def test_while_it_runs(colony: Colony, site: SiteOfTests, daemon: DaemonProgram, cancelled: Cancelled) -> None:
    process_id = colony.submit("echo begun; sleep 300", image=site.image, maxexectime=600)
    neighbour = colony.submit("sleep 3; echo fine", image=site.image)
    wait_for(lambda: "begun" in colony.output(process_id), "its first line")

    cancelled(process_id)

    assert colony.wait(neighbour).state is ProcessState.SUCCESS
    assert colony.output(neighbour) == ["fine"]


def test_while_its_results_are_stored(
    colony: Colony, site: SiteOfTests, rig: Rig, stored: Stored, cancelled: Cancelled
) -> None:
    rig.sync(rig.place("here", {"input": "input"}), "/data")
    stored.wire.always("^(PUT|POST) .*", Fault.SILENT)
    process_id = colony.submit("echo result > /ce-cfs/data/result", image=site.image, fs=FILES)
    wait_for(lambda: "Upload:1" in colony.log(process_id), "the beginning of the transfer")

    cancelled(process_id)

    stored_now = colony.call(colony.client.files, "/data")
    assert [record.name for record in stored_now] == ["input"]
