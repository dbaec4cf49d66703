"""Does the same to many things, several at once, and raises the first error as it is."""

from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

import anyio

T = TypeVar("T")

AT_ONCE = 12
"""Files, or labels, under way. Calls to the server are bounded by the client, since many can stop a Colonies server for good."""


async def each(items: Iterable[T], work: Callable[[T], Awaitable[None]], *, at_once: int = AT_ONCE) -> None:
    """Do *work* on every item, in their order; the first error ends the rest and is raised without a group around it."""
    waiting = iter(items)
    failed: list[Exception] = []

    async def worker(scope: anyio.CancelScope) -> None:
        for item in waiting:
            try:
                await work(item)
            except Exception as error:  # noqa: BLE001 - raised again below
                failed.append(error)
                scope.cancel()
                return

    async with anyio.create_task_group() as tasks:
        for _ in range(at_once):
            tasks.start_soon(worker, tasks.cancel_scope)
    if failed:
        raise failed[0]
