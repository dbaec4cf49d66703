"""Fixtures: a colony on an embedded server, a faulty network before it, and daemons that a test can kill, freeze and restart."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from colonies import Colony, DaemonProgram
from proxy import Proxy


@pytest.fixture(scope="session")
def portal() -> Iterator[BlockingPortal]:
    with start_blocking_portal() as opened:
        yield opened


@pytest.fixture
def colony(tmp_path: Path, portal: BlockingPortal) -> Iterator[Colony]:
    made = Colony(tmp_path, portal)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def proxy(colony: Colony, portal: BlockingPortal) -> Iterator[Proxy]:
    made = Proxy(colony.port, portal)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def make_daemon(colony: Colony, tmp_path: Path) -> Iterator[Callable[..., DaemonProgram]]:
    with ExitStack() as stack:

        def make(**fields: Any) -> DaemonProgram:
            daemon = DaemonProgram(**{"colony": colony, "folder": tmp_path / "state", **fields})
            stack.callback(daemon.end)
            return daemon

        yield make


@pytest.fixture
def daemon(make_daemon: Callable[..., DaemonProgram]) -> DaemonProgram:
    return make_daemon()
