"""How tests are spread over processes: those of one engine run one after the other, as some of them stop it."""

import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from xdist.remote import Producer
    from xdist.scheduler import LoadScopeScheduling

ENGINE = re.compile(r"(?<![a-z])(docker|kube|slurm)(?![a-z])")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: "Producer") -> "LoadScopeScheduling":
    """Give a process of pytest-xdist all tests that name an engine in their path or parameters, or else those of a file."""
    from xdist.scheduler import LoadScopeScheduling  # noqa: PLC0415 - only there when tests run in several processes

    class ByEngine(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
        def _split_scope(self, nodeid: str) -> str:
            named = ENGINE.search(nodeid)
            return named[0] if named else nodeid.partition("::")[0]

    return ByEngine(config, log)
