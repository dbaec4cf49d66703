"""Tests of one engine run one after the other, whatever runs beside them: some of them stop it."""

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Group the tests for pytest-xdist (`-n N --dist loadgroup`): those of an engine together, the others by file."""
    if not config.pluginmanager.hasplugin("xdist"):
        return
    for item in items:
        engine = next((mark.args[0] for mark in item.iter_markers("engine")), None)
        item.add_marker(pytest.mark.xdist_group(engine or item.path.name))
