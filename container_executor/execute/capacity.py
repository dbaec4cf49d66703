"""How much of the engine is free for new processes, counted by what we have promised and by what the engine says."""

import attrs

from container_executor.execute.clock import Bell
from container_executor.models import Capacity, JobSpec


@attrs.frozen
class Need:
    """What all ranks of a job take together: millicores, bytes, GPUs."""

    cpu: int = 0
    memory: int = 0
    gpus: int = 0

    @classmethod
    def of(cls, job: JobSpec) -> "Need":
        """Return what *job* takes."""
        return cls(job.cpu * job.ranks, job.memory * job.ranks, job.gpus * job.ranks)


@attrs.define(eq=False)
class Ledger:
    """Who has been promised what.

    Attributes:
        parallel: How many processes may be live at once.
        site: What the site says its engine has; a None leaves the word to the engine.
        engine: What the engine last said is free.
        changed: Rings when something was given back.
    """

    parallel: int
    site: Capacity = attrs.field(factory=Capacity)
    engine: Capacity = attrs.field(factory=Capacity)
    changed: Bell = attrs.field(factory=Bell)
    _promised: dict[object, Need] = attrs.field(factory=dict)
    _launched: set[object] = attrs.field(factory=set)
    _places: set[object] = attrs.field(factory=set)
    _waiting: set[object] = attrs.field(factory=set)

    @property
    def full(self) -> bool:
        """No further process may be claimed now: all places are taken, or one that was claimed does not fit yet."""
        return len(self._places) >= self.parallel or bool(self._waiting)

    @property
    def places_taken(self) -> int:
        """How many processes are live."""
        return len(self._places)

    def take_place(self, key: object) -> None:
        """Count a process as live."""
        self._places.add(key)

    def free(self) -> Capacity:
        """Return what may be promised to another process."""
        return Capacity(*(self._free(name) for name in ("cpu", "memory", "gpus")))

    def most(self) -> Capacity:
        """Return what would be free if we had no job."""
        return Capacity(*(self._most(name) for name in ("cpu", "memory", "gpus")))

    def expect(self, key: object, need: Need) -> None:
        """Count a process that was claimed, until it is promised what it needs, or has to wait."""
        self._promised[key] = need

    def try_promise(self, key: object, need: Need) -> bool:
        """Promise *need* to a process if it is free now."""
        self._promised.pop(key, None)
        if not fits(need, self.free()):
            self._waiting.add(key)
            return False
        self._waiting.discard(key)
        self._promised[key] = need
        return True

    def adopt(self, key: object, need: Need) -> None:
        """Count a job that is on the engine already."""
        self._promised[key] = need
        self._launched.add(key)

    def launched(self, key: object) -> None:
        """Note that the engine itself counts this job now."""
        self._launched.add(key)

    def give_back(self, key: object) -> None:
        """Forget a process."""
        self._promised.pop(key, None)
        for group in (self._launched, self._places, self._waiting):
            group.discard(key)
        self.changed.ring()

    def _sum(self, name: str, *, launched: bool) -> int:
        return sum(getattr(need, name) for key, need in self._promised.items() if (key in self._launched) is launched)

    def _free(self, name: str) -> int | None:
        promised, running = self._sum(name, launched=False), self._sum(name, launched=True)
        site, engine = getattr(self.site, name), getattr(self.engine, name)
        bounds = ([] if site is None else [site - promised - running]) + ([] if engine is None else [engine - promised])
        return max(0, min(bounds)) if bounds else None

    def _most(self, name: str) -> int | None:
        running = self._sum(name, launched=True)
        site, engine = getattr(self.site, name), getattr(self.engine, name)
        bounds = ([] if site is None else [site]) + ([] if engine is None else [engine + running])
        return min(bounds) if bounds else None


def fits(need: Need, capacity: Capacity) -> bool:
    """Return whether *capacity* has what is needed."""
    return not lacking(need, capacity)


def lacking(need: Need, capacity: Capacity) -> str:
    """Return, in words, what *capacity* lacks for *need*, or ""."""
    parts = [
        f"{name} {getattr(need, name)} of {getattr(capacity, name)} {unit}"
        for name, unit in (("cpu", "millicores"), ("memory", "bytes"), ("gpus", "GPUs"))
        if getattr(capacity, name) is not None and getattr(need, name) > getattr(capacity, name)
    ]
    return ", ".join(parts)
