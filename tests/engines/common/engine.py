"""The life of one engine: brought up once, asked for its lines as often as you like, ended without a trace."""

from collections.abc import Callable, Mapping, Sequence

from common import cgroups, containerd, mounts, packages, places, programs
from common.report import keep_lines, print_lines


def bring_up(name: str, runs: Sequence[str], work: Callable[[], Mapping[str, object]]) -> None:
    """Print the environment lines of the engine *name*, after *work* unless it was done and all programs *runs* are alive.

    *work* is idempotent: it starts and makes what is missing, and returns the lines.
    """
    state = places.make_state(name)
    with packages.locked(f"{name}.up"):
        if not ((state / "env").exists() and all(programs.running(state, program) for program in runs)):
            keep_lines(state, work())
    print_lines(state)


def end(name: str, runs: Sequence[str] = ()) -> None:
    """End the programs *runs* in their order, then everything else of the engine *name*, and remove its folders and groups."""
    state = places.state(name)
    for program in runs:
        programs.stop(state, program)
    cgroups.remove(name)
    mounts.unmount_below(state)
    containerd.remove_sockets(state)
    places.take_back(state)
    places.forget(name)
