"""How far a transfer is: a bar with rate and remaining time on a terminal, nothing elsewhere."""

import sys
from collections.abc import Awaitable, Callable

import anyio

from container_executor.cfs import Progress
from container_executor.cfs.beside import beside

_BEAT = 0.1


async def showing(progress: Progress, work: Callable[[], Awaitable[None]]) -> None:
    """Do *work*, showing its progress on the standard error if that is a terminal."""
    if not sys.stderr.isatty():
        await work()
        return
    await beside(lambda: _show(progress), work)


async def _show(progress: Progress) -> None:
    from rich.console import Console  # noqa: PLC0415 - only a terminal needs it
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        DownloadColumn,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )
    from rich.progress import (  # noqa: PLC0415
        Progress as Bars,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        bar = bars.add_task("", total=None)
        while True:
            files = f"{progress.files}/{progress.total_files} files"
            bars.update(bar, completed=progress.bytes, total=progress.total_bytes, description=files)
            await anyio.sleep(_BEAT)
