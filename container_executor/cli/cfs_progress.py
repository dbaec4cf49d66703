"""How far a transfer is: a bar with rate and remaining time on a terminal, nothing elsewhere."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from container_executor.cfs import Progress

_BEAT = 0.1


@contextmanager
def showing(progress: Progress) -> Iterator[None]:
    """Show the progress of the block on the standard error if that is a terminal."""
    if not sys.stderr.isatty():
        yield
        return
    ended = threading.Event()
    thread = threading.Thread(target=_show, args=(progress, ended), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _show(progress: Progress, ended: threading.Event) -> None:
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
        while not ended.wait(_BEAT):
            files = f"{progress.files}/{progress.total_files} files"
            bars.update(bar, completed=progress.bytes, total=progress.total_bytes, description=files)
