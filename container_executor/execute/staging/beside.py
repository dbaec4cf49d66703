"""Does something beside work for as long as that takes."""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import anyio


async def beside(companion: Callable[[], Coroutine[Any, Any, None]], work: Callable[[], Awaitable[None]]) -> None:
    """Do *work* with *companion* beside it, which is cancelled at the end; the error of *work* is raised without a group around it."""
    failed: list[Exception] = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(companion)
        try:
            await work()
        except Exception as error:  # noqa: BLE001 - raised again below
            failed.append(error)
        tasks.cancel_scope.cancel()
    if failed:
        raise failed[0]
