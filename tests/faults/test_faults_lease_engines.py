"""The engine's own stop of a job, on every backend: told as the end of the lease, whoever was there to order it."""

import signal
import time
from collections.abc import Callable

import pytest
from colonies import Colony, DaemonProgram, wait_for
from sites import ENGINES, site_of

from container_executor.client import ProcessState

LEASE, TERM, SEEN = 30, 19, 23
"""Seconds from the assignment: ``maxexectime``, which makes the engine send TERM so early, and when the program has surely ended."""


@pytest.mark.parametrize("backend", ENGINES)
def test_a_job_that_the_engine_stopped_while_its_daemon_stood_still_has_outlived_its_lease(
    colony: Colony, make_daemon: Callable[..., DaemonProgram], backend: str
) -> None:
    site = site_of(backend)
    daemon = make_daemon(backend=backend, options=site.options)
    daemon.start()
    process_id = colony.submit("echo begun; sleep 600", image=site.image, maxexectime=LEASE)
    wait_for(lambda: colony.output(process_id) == ["begun"], "its output", TERM)

    daemon.signal(signal.SIGSTOP)
    begun = colony.process(process_id).started
    assert begun is not None
    wait_for(lambda: time.time() > begun.timestamp() + SEEN, "the engine's end of the job", LEASE)
    daemon.signal(signal.SIGCONT)

    assert colony.wait(process_id).state is ProcessState.FAILED
    verdict = colony.verdict(process_id)
    assert (verdict["failure"], verdict["exit_code"]) == ("lease_expired", 143)
