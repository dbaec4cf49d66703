"""How long is waited before a call that had no answer is made again."""

import random
from collections.abc import Iterator


def pauses(first: float, longest: float) -> Iterator[float]:
    """Yield seconds, twice as many each time up to *longest*.

    Each is drawn from its upper half: daemons that lost one server at the same moment must not come back at the same moment.
    """
    pause = first
    while True:
        yield pause * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
        pause = min(longest, 2 * pause)
