"""What sinfo says about the partition that jobs go to: how long a job may be, and what is free."""

import re
from collections.abc import Collection, Sequence
from datetime import timedelta

import attrs

from container_executor.models import Capacity
from container_executor.remembered import Remembered
from container_executor_slurm.commands import Commands

_LIMIT_AGE = timedelta(minutes=1)
_CAPACITY_AGE = timedelta(seconds=5)
"""How long an answer is used for."""


@attrs.define(eq=False)
class Partition:
    """The partition, remembered for a while."""

    _longest: Remembered[int | None] = attrs.field(factory=lambda: Remembered[int | None](_LIMIT_AGE), init=False)
    _free: Remembered[Capacity] = attrs.field(factory=lambda: Remembered[Capacity](_CAPACITY_AGE), init=False)
    _total: Remembered[Capacity] = attrs.field(factory=lambda: Remembered[Capacity](_LIMIT_AGE), init=False)

    def longest(self, slurm: Commands, name: str) -> int | None:
        """Return the minutes that a job may run, None where there is no bound. *name* "" is Slurm's default partition."""
        return self._longest.get(lambda: parse_limit(slurm.run(limit_argv(name)).stdout, name))

    def free(self, slurm: Commands, name: str) -> Capacity:
        """Return what is free now."""
        return self._free.get(lambda: parse_capacity(slurm.run(capacity_argv(name)).stdout))

    def total(self, slurm: Commands, name: str) -> Capacity:
        """Return what all its nodes have, be they in use or down: they come back."""
        return self._total.get(lambda: parse_total(slurm.run(total_argv(name)).stdout))


_LIMIT = re.compile(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+)")


def limit_argv(partition: str) -> list[str]:
    """Return the command that asks for the partition's name and longest time; the default one's name ends in a star."""
    return ["sinfo", "--noheader", "--format=%P %l", *([f"--partition={partition}"] if partition else [])]


def parse_limit(stdout: str, partition: str) -> int | None:
    """Return the whole minutes in what :func:`limit_argv` prints, such as ``7-00:00:00``; None where there is no bound."""
    for name, _, limit in (line.strip().partition(" ") for line in stdout.splitlines()):
        match = _LIMIT.fullmatch(limit.strip())
        if match and (name.rstrip("*") == partition or (not partition and name.endswith("*"))):
            days, hours, minutes, _seconds = (int(part or 0) for part in match.groups())
            return (days * 24 + hours) * 60 + minutes
    return None


_CAPACITY = "CPUsState:40,Memory:20,AllocMem:20,Gres:200,GresUsed:200"


def capacity_argv(partition: str) -> list[str]:
    """Return the command that asks for what the usable nodes have and use, a line a node."""
    return [*total_argv(partition), "--states=idle,mixed,allocated"]


def total_argv(partition: str) -> list[str]:
    """Return the command that asks for the same of all nodes."""
    where = [f"--partition={partition}"] if partition else []
    return ["sinfo", "--noheader", "--Node", f"--Format=NodeList:100,{_CAPACITY}", *where]


def _nodes(stdout: str) -> Collection[Sequence[str]]:
    """Return the columns of each node but its name; one that is in two partitions counts once."""
    return {fields[0]: fields[1:] for line in stdout.splitlines() if len(fields := line.split()) == 6}.values()


def parse_total(stdout: str) -> Capacity:
    """Return what is there, in what :func:`total_argv` prints."""
    nodes = _nodes(stdout)
    cpus = sum(int(state.split("/")[3]) for state, *_ in nodes)
    memory = sum(int(total) for _, total, *_ in nodes)
    return Capacity(cpu=cpus * 1000, memory=memory * 2**20, gpus=sum(_gpus(total) for *_, total, _ in nodes))


def parse_capacity(stdout: str) -> Capacity:
    """Return what is free, in what :func:`capacity_argv` prints."""
    nodes = _nodes(stdout)
    cpus = sum(int(state.split("/")[1]) for state, *_ in nodes)
    memory = sum(max(0, int(total) - int(used)) for _, total, used, *_ in nodes)
    gpus = sum(_gpus(total) - _gpus(used) for *_, total, used in nodes)
    return Capacity(cpu=cpus * 1000, memory=memory * 2**20, gpus=max(0, gpus))


def _gpus(gres: str) -> int:
    """Return the GPUs in a word such as ``gpu:2(S:0)`` or ``gpu:a100:1(IDX:0),nvme:1``."""
    counts = re.findall(r"(?:^|,)gpu(?::[^:,(]+)?:(\d+)", re.sub(r"\([^)]*\)", "", gres))
    return sum(int(count) for count in counts)
