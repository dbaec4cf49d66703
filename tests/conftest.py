"""What all tests share. After all of a run, nothing of its daemons is left on Docker."""

import gc
from collections.abc import Iterator

import pytest
from docker_left import docker_api, left
from sites import DOCKER_OWNERS

from container_executor.testing import require_engine


@pytest.fixture
def no_garbage() -> None:
    """Asked for by a test that fills the stack: whoever waits for the end of an object could not be told there, and pytest would complain."""
    gc.collect()


@pytest.fixture(scope="session", autouse=True)
def nothing_of_ours_is_left_on_docker() -> Iterator[None]:
    """Look at all containers, networks and volumes once the last test of this program is over."""
    yield
    if DOCKER_OWNERS:
        with docker_api(require_engine("docker")) as api:
            remains = {owner: things for owner in DOCKER_OWNERS if (things := left(api, owner))}
        assert remains == {}
