"""Does several things at once, and raises the first error as it is."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar

import anyio

T = TypeVar("T")
U = TypeVar("U")

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


async def both(first: Callable[[], Awaitable[T]], second: Callable[[], Awaitable[U]]) -> tuple[T, U]:
    """Do two things at once and return what each of them returns; the first error ends the other one."""
    found: list[Any] = [None, None]

    async def one(numbered: tuple[int, Callable[[], Awaitable[Any]]]) -> None:
        number, work = numbered
        found[number] = await work()

    await each(enumerate((first, second)), one)
    return found[0], found[1]
