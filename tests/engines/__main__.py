"""Bring the engines of the tests up and down: `python tests/engines up|down|env|left [ENGINE...]`, all of them by default.

`up` prints the environment lines of all that it was asked for, `env` those of what is up; `left` fails if tests have left anything
on what is up. An engine is a folder with the programs `up` and `down`, and with `left` where jobs run; one with a `build` has
something to build that takes minutes: builds run in the background, one after the other, while the engines without one come up.
"""

import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from common import places, programs
from common.report import EngineError, say

ENGINES = ("docker", "registry", "slurm", "minio", "kube")
# From nothing, on two cores, the slowest build takes six minutes and the longest `up` one.
BUILD_SECONDS, UP_SECONDS, DOWN_SECONDS, LEFT_SECONDS = 1500, 600, 180, 120
USAGE = f"usage: python tests/engines up|down|env|left [{'|'.join(ENGINES)}]..."


def main(arguments: Sequence[str]) -> int:
    """Do what *arguments* say and return the exit code: 0 if everything asked for was done."""
    actions = {"up": up, "down": down, "env": env, "left": left}
    names = arguments[1:] or ENGINES
    if not arguments or arguments[0] not in actions or not {*names} <= {*ENGINES}:
        say(USAGE)
        return 2
    return actions[arguments[0]]([name for name in ENGINES if name in names])


def up(names: Sequence[str]) -> int:
    """Bring *names* up and print their lines; one that fails keeps no other from coming up."""
    to_build = [name for name in reversed(ENGINES) if name in names and _program(name, "build").exists()]
    builds = threading.Thread(target=lambda: [_run(name, "build", BUILD_SECONDS) for name in to_build])
    builds.start()
    failed = [name for name in names if name not in to_build and not _up(name)]
    builds.join()
    failed += [name for name in names if name in to_build and not _up(name)]
    env([name for name in names if name not in failed])
    if failed:
        say(f"not up: {', '.join(failed)}")
    return 1 if failed else 0


def down(names: Sequence[str]) -> int:
    """Take *names* down, the last one up first."""
    failed = [name for name in reversed(names) if _run(name, "down", DOWN_SECONDS) is None]
    return 1 if failed else 0


def env(names: Sequence[str]) -> int:
    """Print the lines of those of *names* that are up."""
    for name in names:
        if _is_up(name):
            sys.stdout.write((places.state(name) / "env").read_text())
    return 0


def left(names: Sequence[str]) -> int:
    """Look whether anything is left on those of *names* that are up and run jobs."""
    failed = [name for name in names if _is_up(name) and _program(name, "left").exists() and _run(name, "left", LEFT_SECONDS) is None]
    return 1 if failed else 0


def _is_up(name: str) -> bool:
    state = places.state(name)
    return (state / "env").exists() and programs.all_running(state)


def _up(name: str) -> bool:
    """Bring *name* up and keep its lines beside its state, so that `env` finds them."""
    lines = _run(name, "up", UP_SECONDS)
    if lines is None:
        return False
    (places.make_state(name) / "env").write_text(lines)
    return True


def _run(name: str, action: str, seconds: float) -> str | None:
    """Run the program *action* of the engine *name* and return what it printed, None if it failed or took over *seconds*."""
    began = time.monotonic()
    try:
        done = subprocess.run([_program(name, action)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, timeout=seconds)
    except (OSError, subprocess.TimeoutExpired) as error:
        say(f"{name} {action}: {error}")
        return None
    say(f"{name} {action}: {'done' if done.returncode == 0 else 'FAILED'} after {time.monotonic() - began:.1f} s")
    return done.stdout if done.returncode == 0 else None


def _program(name: str, action: str) -> Path:
    return places.ENGINES / name / action


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except EngineError as error:
        sys.exit(str(error))
