"""What tests have left on an engine."""

import time
from collections.abc import Callable, Sequence

from common.report import EngineError

SECONDS = 60
"""For what is ending as we look."""


def none_may_be_left(find: Callable[[], Sequence[str]]) -> None:
    """Return once *find* finds nothing any more.

    Raises:
        EngineError: It still does after a minute; names what.
    """
    deadline = time.monotonic() + SECONDS
    while found := find():
        if time.monotonic() > deadline:
            raise EngineError("the tests have left " + ", ".join(found))
        time.sleep(1)
