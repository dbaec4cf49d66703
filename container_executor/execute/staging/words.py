"""What a process's log says about its directories, in the words that users of the former executors know."""

from collections.abc import Awaitable, Callable

import anyio

from container_executor.cfs import Plan, Progress
from container_executor.execute.staging.beside import beside
from container_executor.units import format_size

Tell = Callable[[str, str], None]
"""Writes a line of ours into a process's log: its name, by which it is not repeated, and its text."""

BEAT = 10.0
"""Seconds between two lines that tell how far a transfer is, growing by half each time."""
_SHOWN = 5


def starting(label: str, where: str, plan: Plan) -> str:
    """Return the line that announces a synchronisation. The three numbers count different files."""
    return (
        f"Starting directory synchronization: Label:{label} Dir:{where} Download:{len(plan.downloads)} "
        f"Upload:{len(plan.uploads)} Conflicts:{len(plan.conflicts)} ConflictResolutionStrategy:{plan.policy}"
    )


def left_out(where: str, plan: Plan) -> str:
    """Return the line that names what is not synchronised, "" where there is nothing."""
    found = [f"{odd.path!r} ({odd.reason})" for odd in plan.oddities]
    found += [f"{path!r} (another process uses the directory)" for path in plan.left]
    return f"left out of {where}: {shortened(found)}" if found else ""


def shortened(items: list[str]) -> str:
    """Return the first few of a list, and how many more there are."""
    more = f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    return ", ".join(items[:_SHOWN]) + more


async def telling(progress: Progress, tell: Tell, name: str, work: Callable[[], Awaitable[None]]) -> None:
    """Do *work*, telling now and then how far it is; its error is raised as it is."""

    async def beat() -> None:
        pause = BEAT
        while True:
            await anyio.sleep(pause)
            pause *= 1.5
            done = f"{progress.files} of {progress.total_files} files"
            text = f"{done}, {format_size(progress.bytes)} of {format_size(progress.total_bytes)}"
            tell(f"{name} {text}", f"{name}: {text}")

    await beside(beat, work)
