"""Follows Docker's events about our containers, as hints that a job may have changed."""

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from threading import Event
from typing import Any

import requests.exceptions
import urllib3.exceptions

from container_executor_docker.guard import OWNER
from container_executor_docker.labels import JOB

SILENCE = 2.0
"""Seconds that the stream may be silent before we look whether to end."""
TELLING = ("die", "oom", "start", "destroy")


def follow(api: Any, owner: str, wake: Callable[[str], None], stop: Event) -> None:
    """Call *wake* with the job of each event about one of *owner*'s containers, until *stop*."""
    since = time.time()
    while not stop.is_set():
        with _silence():
            for event in _events(api, owner, since):
                since = float(event["time"])
                wake(event["Actor"]["Attributes"][JOB])
                if stop.is_set():
                    return


def _events(api: Any, owner: str, since: float) -> Iterator[Mapping[str, Any]]:
    """Yield our containers' events; unlike the SDK's own call, a silence ends it with a read timeout."""
    filters = {"type": ["container"], "event": TELLING, "label": [f"{OWNER}={owner}"]}
    answer = api.get(
        f"{api.base_url}/v{api.api_version}/events",
        params={"since": int(since), "filters": json.dumps(filters)},
        stream=True,
        timeout=SILENCE,
    )
    with answer:
        for line in answer.iter_lines(chunk_size=None):  # as they come: each is a chunk of the answer
            if line:
                yield json.loads(line)


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Take no offence at a stream in which nothing came."""
    try:
        yield
    except (
        requests.exceptions.ReadTimeout,
        requests.exceptions.ConnectionError,
        urllib3.exceptions.ReadTimeoutError,
    ) as error:
        if "timed out" not in str(error).lower():
            raise
