"""One daemon for all tests of a module that do not end it, on each engine that is up; and daemons that a test may end."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal
from colonies import Colony, DaemonProgram, wait_for
from daemon_fixtures import colony, daemon, make_daemon, portal, proxy
from docker_left import docker_api
from sites import ENGINES, SiteOfTests, site_of

from container_executor.testing import require_engine

__all__ = ["colony", "daemon", "make_daemon", "portal", "proxy"]

MakeDaemon = Callable[..., DaemonProgram]


@pytest.fixture(scope="module", params=ENGINES)
def backend_name(request: pytest.FixtureRequest) -> str:
    """Each engine in turn; those that are not up are skipped."""
    return str(request.param)


@pytest.fixture(scope="module")
def site(backend_name: str) -> SiteOfTests:
    return site_of(backend_name)


@pytest.fixture
def api() -> Iterator[Any]:
    """A client of the real Docker."""
    with docker_api(require_engine("docker")) as client:
        yield client


@pytest.fixture(scope="module")
def house(site: SiteOfTests, portal: BlockingPortal, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Colony]:
    """A colony in which a daemon runs jobs on the engine."""
    folder: Path = tmp_path_factory.mktemp(site.backend)
    made = Colony(folder, portal, image=site.image)
    made.start()
    runner = DaemonProgram(made, folder / "state", backend=site.backend, options=site.options)
    runner.start()
    try:
        wait_for(lambda: '"running"' in runner.log() or not runner.alive(), "its registration")
        assert runner.alive(), runner.log()
        yield made
    finally:
        runner.end()
        made.stop()
