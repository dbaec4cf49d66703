"""Processor time and memory of a rank, limited by a control group where this user may make one.

Version 1: a group for each controller, below the daemon's own. Version 2: one group, beside the daemon's own, because a group
that holds programs can have no limited groups in it (cgroups(7), "no internal processes"). Where neither can be had there is
no limit: limits on address space would break programs that reserve more than they use, as the runtimes of Go and Java do.
"""

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

_PERIOD = 100_000
"""Microseconds over which processor time is counted; the kernel's default."""

_CONTROLLERS = ("memory", "cpu")


class Base(NamedTuple):
    """A directory in which groups may be made.

    Attributes:
        path: The directory.
        version: Of control groups: 1 or 2.
        controllers: What can be limited in them.
    """

    path: str
    version: int
    controllers: Sequence[str]


def bases() -> list[Base]:
    """Return where this user may make groups; nothing where it may not."""
    with contextlib.suppress(OSError):
        own = dict(_own_groups())
        found = [base for base in _bases(own) if base.controllers and os.access(base.path, os.W_OK)]
        return [base for base in found if os.path.exists(os.path.join(base.path, "cgroup.procs"))]
    return []


def _bases(own: Mapping[str, str]) -> Iterator[Base]:
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            fields, _, rest = line.partition(" - ")  # proc(5), mountinfo
            root, place = fields.split()[3:5]
            kind, _, options = rest.split(maxsplit=2)
            if kind == "cgroup":
                yield from _old_bases(own, root, place, options.strip().split(","))
            elif kind == "cgroup2" and "" in own:
                yield from _new_bases(_within(own[""], root, place), place)


def _own_groups() -> Iterator[tuple[str, str]]:
    """Yield the controller and this program's group of it; "" is the controller of version 2."""
    with open("/proc/self/cgroup", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            _, controllers, path = line.rstrip("\n").split(":", 2)
            for controller in controllers.split(","):
                yield controller, path


def _old_bases(own: Mapping[str, str], root: str, place: str, options: Sequence[str]) -> Iterator[Base]:
    for controller in _CONTROLLERS:
        if controller in options and controller in own:
            yield Base(_within(own[controller], root, place), 1, [controller])


def _new_bases(group: str, place: str) -> Iterator[Base]:
    for path in (group, os.path.dirname(group)):
        if path.startswith(place):
            passed_on = _read(os.path.join(path, "cgroup.subtree_control")).split()
            if "memory" in passed_on:
                yield Base(path, 2, [controller for controller in _CONTROLLERS if controller in passed_on])
                return


def _within(group: str, root: str, place: str) -> str:
    """Return the directory of a group, where only what is below *root* is mounted."""
    inner = group.removeprefix(root) if root != "/" and group.startswith(root) else group
    return os.path.normpath(os.path.join(place, inner.lstrip("/")))


class Cage:
    """The control groups of one rank; none at all where nothing is to be limited, or can be."""

    def __init__(self, paths: Sequence[str]) -> None:
        self.paths = paths

    @classmethod
    def make(cls, name: str, *, memory: int, cpu: int) -> "Cage":
        """Make the groups.

        Args:
            name: Unique on this host.
            memory: Bytes, 0 for no limit.
            cpu: Millicores, 0 for no limit.
        """
        wanted = {"memory": memory, "cpu": cpu}
        made = []
        for base in bases() if any(wanted.values()) else ():
            if any(wanted[controller] for controller in base.controllers):
                with contextlib.suppress(OSError):
                    path = os.path.join(base.path, name)
                    os.mkdir(path)
                    made.append(path)
                    _limit(path, base, wanted)
        return cls(made)

    def enter(self) -> None:
        """Put this program, and all it will start, into the cage."""
        for path in self.paths:
            _write(os.path.join(path, "cgroup.procs"), "0")

    def out_of_memory(self) -> bool:
        """Return whether the kernel killed a program for want of memory."""
        told = [
            _read(os.path.join(path, name)) for path in self.paths for name in ("memory.oom_control", "memory.events")
        ]
        return any(line.startswith("oom_kill ") and line != "oom_kill 0" for text in told for line in text.splitlines())

    def close(self) -> None:
        """Take the groups away, once they are empty."""
        clear(self.paths)


def clear(paths: Sequence[str]) -> None:
    """Take empty groups away."""
    for path in paths:
        with contextlib.suppress(OSError):
            os.rmdir(path)


def _limit(path: str, base: Base, wanted: Mapping[str, int]) -> None:
    memory = str(wanted["memory"]) if "memory" in base.controllers and wanted["memory"] else ""
    quota = wanted["cpu"] * _PERIOD // 1000 if "cpu" in base.controllers else 0
    if memory and base.version == 1:
        _write(os.path.join(path, "memory.limit_in_bytes"), memory)
        with contextlib.suppress(OSError):  # kernels may do without accounting of swap
            _write(os.path.join(path, "memory.memsw.limit_in_bytes"), memory)
    elif memory:
        _write(os.path.join(path, "memory.max"), memory)
        with contextlib.suppress(OSError):
            _write(os.path.join(path, "memory.swap.max"), "0")
    if quota and base.version == 1:
        _write(os.path.join(path, "cpu.cfs_quota_us"), str(quota))
    elif quota:
        _write(os.path.join(path, "cpu.max"), f"{quota} {_PERIOD}")


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.read()
    except OSError:
        return ""
