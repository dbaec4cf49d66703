"""What the cases of the conformance suite wait with."""

import time
from datetime import timedelta
from itertools import count

import pytest

from container_executor.testing.bench import wait_for

PATIENCE = timedelta(seconds=0.4)


def test_time_in_which_the_machine_stood_still_is_not_time_that_a_job_took() -> None:
    looks = count()

    def look() -> str | None:
        nth = next(looks)
        if nth == 0:
            time.sleep(2 * PATIENCE.total_seconds())
        return "seen" if nth == 2 else None

    assert wait_for(look, PATIENCE, "an end") == "seen"


def test_what_does_not_come_is_told() -> None:
    with pytest.raises(pytest.fail.Exception, match=r"^an end did not come within 0\.4 s$"):
        wait_for(lambda: None, PATIENCE, "an end")
