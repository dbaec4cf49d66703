"""Long-running programs of an engine: started into its control group, recorded by pid and start time, ended by that."""

import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from common import cgroups, waiting
from common.report import EngineError

# A program of the rig enters its control group before it becomes itself, so all its children are in it, too.
ENTER = 'for door in $DOORS; do echo $$ > "$door" || exit 1; done; unset DOORS; exec "$@"'


def start(state: Path, name: str, argv: Sequence[str | Path], *, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> None:
    """Start *argv* as the program *name* of the engine in *state*, unless it runs; its output goes to `log_of` it."""
    if running(state, name):
        return
    group = f"{state.name}/programs"
    cgroups.make(group)
    doors = " ".join(str(door) for door in cgroups.doors(group))
    with log_of(state, name).open("ab") as log:
        child = subprocess.Popen(
            ["sh", "-c", ENTER, name, *argv],
            env={**os.environ, **(env or {}), "DOORS": doors},
            cwd=cwd or state,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    record = _record(state, name)
    record.parent.mkdir(exist_ok=True)
    record.write_text(f"{child.pid} {_started(child.pid)}")


def await_answer(state: Path, name: str, answers: Callable[[], bool], *, seconds: float = 60, every: float = 0.05) -> None:
    """Return once the program *name* *answers*.

    Raises:
        EngineError: not within *seconds*, or the program ended; quotes the end of its log.
    """
    log = log_of(state, name)

    def alive_and_answers() -> bool:
        if not running(state, name):
            raise EngineError(f"{name} ended{waiting.tail(log)}")
        return answers()

    waiting.until(f"an answer of {name}", alive_and_answers, seconds=seconds, every=every, log=log)


def log_of(state: Path, name: str) -> Path:
    """Return the file with the output of the program *name*."""
    folder = state / "logs"
    folder.mkdir(exist_ok=True)
    return folder / f"{name}.log"


def running(state: Path, name: str) -> bool:
    """Tell whether the program *name* that was recorded last is alive; a later program with its pid is not."""
    return _alive(_record(state, name)) is not None


def all_running(state: Path) -> bool:
    """Tell whether every program that was recorded in *state* is alive: none is after the machine went down."""
    return all(_alive(record) is not None for record in (state / "pids").glob("*"))


def pid(state: Path, name: str) -> int:
    """Return the pid of the program *name*, which runs."""
    return int(_record(state, name).read_text().split(" ")[0])


def stop(state: Path, name: str, *, force: bool = False, seconds: float = 20) -> None:
    """End the program *name*: TERM (*force*: KILL at once), and KILL if it is not gone after *seconds*."""
    record = _record(state, name)
    for number, patience in ((signal.SIGKILL if force else signal.SIGTERM, seconds), (signal.SIGKILL, 10)):
        if (pid := _alive(record)) is None:
            break
        os.kill(pid, number)
        try:
            waiting.until(f"the end of {name} (pid {pid})", lambda: _alive(record) is None, seconds=patience)
        except EngineError:
            if number == signal.SIGKILL:
                raise
    record.unlink(missing_ok=True)


def _record(state: Path, name: str) -> Path:
    return state / "pids" / name


def _alive(record: Path) -> int | None:
    """Return the pid in *record* if that very program is alive."""
    if not record.exists():
        return None
    pid, started = record.read_text().split(" ", 1)
    return int(pid) if started and _started(int(pid)) == started else None


def _started(pid: int) -> str:
    """Return the start time of *pid* in clock ticks since boot, empty if it is gone or a zombie (proc(5), stat)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return "" if fields[0] == "Z" else fields[19]
