"""Asks a store or a server that does not answer again for a while. Blocking."""

import math
import time
from collections.abc import Callable
from typing import TypeVar

from container_executor.cfs.each import Stop
from container_executor.cfs.errors import StoreUnavailableError
from container_executor.client import NoAnswerError
from container_executor.logs import Logger

log = Logger(__name__)

T = TypeVar("T")

PATIENCE = 30.0
"""Seconds, from the first time, for which a store or a server that does not answer is asked again."""
_PAUSE, _PAUSE_LIMIT = 0.5, 5.0


def again(call: Callable[[], T], patience: float, stop: Stop, reached: Callable[[], int] = lambda: 0) -> T:
    """Return what *call* returns, asked again for a while where nobody answers.

    Args:
        call: Makes the call.
        patience: Seconds for which it is asked again.
        stop: Ends the waiting.
        reached: How far it has come; as long as that grows from one call to the next, there is no end of asking.
    """
    deadline, pause, furthest = math.inf, _PAUSE, 0
    while True:
        try:
            return call()
        except (StoreUnavailableError, NoAnswerError) as error:
            now, far = time.monotonic(), reached()
            if deadline == math.inf or far > furthest:
                deadline, pause, furthest = now + patience, _PAUSE, far
            if now + pause > deadline:
                raise
            log.warning("asked again", error=str(error))
        stop.pause(pause)
        pause = min(_PAUSE_LIMIT, pause * 2)
