"""How late the event loop is: all that the daemon does waits for it."""

import anyio
from prometheus_client import Histogram

PERIOD = 1.0
"""Seconds between two measurements."""


async def measure(lag: Histogram) -> None:
    """Measure until cancelled."""
    while True:
        due = anyio.current_time() + PERIOD
        await anyio.sleep_until(due)
        lag.observe(max(0.0, anyio.current_time() - due))
