"""A colony on an embedded server, daemons that a test can kill, freeze and restart, and engines that it can break."""

from collections.abc import Callable

import pytest
from colonies import DaemonProgram, wait_for
from daemon_fixtures import colony, daemon, make_daemon, portal, proxy
from faulty import FaultyEngine

__all__ = ["colony", "daemon", "make_daemon", "portal", "proxy"]


@pytest.fixture
def runner(engine: FaultyEngine, make_daemon: Callable[..., DaemonProgram]) -> DaemonProgram:
    """A daemon that reaches the module's engine through what can break."""
    made = make_daemon(backend=engine.site.backend, options=engine.site.options)
    made.start(**engine.variables)
    wait_for(lambda: '"running"' in made.log() or not made.alive(), "its registration")
    return made


@pytest.fixture
def patience(engine: FaultyEngine) -> float:
    """How long a test waits for what takes this engine a second."""
    return 60.0 * engine.site.slack
