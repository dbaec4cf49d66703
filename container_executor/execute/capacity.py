"""How much of the engine is free for new processes, counted by what we have promised and by what the engine says."""

from collections.abc import Collection

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


@attrs.frozen
class Told:
    """What the engine last said.

    Attributes:
        free: What is free.
        total: What it has in all.
        counted: The processes whose jobs it had counted: those that were on it before it was asked.
    """

    free: Capacity = attrs.field(factory=Capacity)
    total: Capacity = attrs.field(factory=Capacity)
    counted: frozenset[object] = frozenset()


@attrs.define(eq=False)
class Ledger:
    """Who has been promised what.

    Attributes:
        parallel: How many processes may be live at once.
        site: What the site says its engine has; a None leaves the word to the engine.
        changed: Rings when something was given back.
    """

    parallel: int
    site: Capacity = attrs.field(factory=Capacity)
    changed: Bell = attrs.field(factory=Bell)
    _promised: dict[object, Need] = attrs.field(factory=dict)
    _launched: set[object] = attrs.field(factory=set)
    _engine: Told = attrs.field(factory=Told)
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
        """Return what could ever be promised, as far as anybody knows: what is free now tells nothing of that."""
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
        """Note that a job is on the engine now, which counts it when it is asked from now on."""
        self._launched.add(key)

    @property
    def on_engine(self) -> frozenset[object]:
        """The processes whose jobs are on the engine."""
        return frozenset(self._launched)

    def tell(self, engine: Told) -> None:
        """Take on what the engine says."""
        self._engine = engine

    def give_back(self, key: object) -> None:
        """Forget a process."""
        self._promised.pop(key, None)
        for group in (self._launched, self._places, self._waiting):
            group.discard(key)
        self.changed.ring()

    def _promises(self, name: str, *, but: Collection[object] = ()) -> int:
        return sum(getattr(need, name) for key, need in self._promised.items() if key not in but)

    def _free(self, name: str) -> int | None:
        site, engine = getattr(self.site, name), getattr(self._engine.free, name)
        bounds = [] if site is None else [site - self._promises(name)]
        bounds += [] if engine is None else [engine - self._promises(name, but=self._engine.counted)]
        return max(0, min(bounds)) if bounds else None

    def _most(self, name: str) -> int | None:
        bounds = [bound for had in (self.site, self._engine.total) if (bound := getattr(had, name)) is not None]
        return min(bounds, default=None)


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
