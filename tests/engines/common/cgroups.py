"""Control groups of an engine: one tree per engine in every hierarchy, so that nothing of it can be missed at the end.

Both versions are served. Version 1 has one hierarchy per controller, all walked alike; version 2 has one.
"""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

from common import waiting

ROOT = Path("/sys/fs/cgroup")
TOP = "container-executor"


def hierarchies() -> list[Path]:
    """Return the mount points of all hierarchies."""
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    return [Path(fields[1]) for fields in mounts if fields[2] in {"cgroup", "cgroup2"}]


def make(name: str) -> None:
    """Make the group *name* (a path such as `kube/n1`) in every hierarchy, ready to hold groups and programs."""
    for hierarchy in hierarchies():
        group = hierarchy
        for part in (TOP, *name.split("/")):
            parent, group = group, group / part
            _pass_controllers_on(parent)
            group.mkdir(exist_ok=True)
            _copy_cpuset(parent, group)


def _pass_controllers_on(parent: Path) -> None:
    """Let the groups below *parent* use its controllers (version 2)."""
    switch = parent / "cgroup.subtree_control"
    if switch.exists():
        names = (parent / "cgroup.controllers").read_text().split()
        switch.write_text(" ".join(f"+{name}" for name in names))


def _copy_cpuset(parent: Path, group: Path) -> None:
    """Give *group* the processors and memory nodes of *parent*: a new group has none and takes no program (version 1)."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        if (group / name).exists() and not (group / "cgroup.controllers").exists() and not (group / name).read_text().strip():
            (group / name).write_text((parent / name).read_text())


def path(name: str) -> str:
    """Return the group *name* as engines spell it, from the root of a hierarchy."""
    return f"/{TOP}/{name}"


def doors(name: str) -> list[Path]:
    """Return the files to write a pid into so that a program and its children belong to the group *name*."""
    return [hierarchy / TOP / name / "cgroup.procs" for hierarchy in _tracking()]


def _tracking() -> list[Path]:
    """Return the hierarchy by which programs are found again: of version 1 the pids controller's, else the only one."""
    pids = [hierarchy for hierarchy in hierarchies() if hierarchy.name == "pids"]
    return pids or hierarchies()[:1]


def _tree(group: Path) -> Iterator[Path]:
    """Yield *group* and all below it, deepest first."""
    for folder, _, _ in os.walk(group, topdown=False):
        yield Path(folder)


def members(name: str) -> set[int]:
    """Return the pids of all programs in the group *name* and below, in any hierarchy."""
    found: set[int] = set()
    for hierarchy in hierarchies():
        for group in _tree(hierarchy / TOP / name):
            found.update(int(pid) for pid in (group / "cgroup.procs").read_text().split())
    return found


def kill(name: str) -> None:
    """Kill everything in the group *name*, as often as it takes."""

    def empty() -> bool:
        pids = members(name)
        for pid in pids:
            _kill(pid)
        return not pids

    waiting.until(f"the end of all programs in the control group {path(name)}", empty, seconds=30)


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def remove(name: str) -> None:
    """Kill what the group *name* holds and remove it everywhere, with the top group if that is empty then."""
    kill(name)
    for hierarchy in hierarchies():
        for group in _tree(hierarchy / TOP / name):
            group.rmdir()
        with contextlib.suppress(OSError):  # absent, or another engine's groups are in it
            (hierarchy / TOP).rmdir()
