"""Which process uses which directory of the site now, so that two never get in each other's way."""

from collections.abc import Hashable, Iterator, Sequence

import anyio
import attrs

from container_executor.execute.clock import Bell

Parts = tuple[str, ...]


@attrs.frozen
class Use:
    """A directory that a process names.

    Attributes:
        parts: The way to it below the site's directory.
        content: What fills it, a label or a snapshot: processes share a directory that the same fills.
    """

    parts: Parts
    content: str

    @property
    def path(self) -> str:
        """The directory as a spec names it."""
        return "/" + "/".join(self.parts)


@attrs.define(eq=False)
class _Place:
    content: str
    users: set[Hashable] = attrs.field(factory=set)
    lock: anyio.Lock = attrs.field(factory=anyio.Lock)


@attrs.define(eq=False)
class Places:
    """The directories in use.

    Attributes:
        changed: Rings when one is free again.
    """

    changed: Bell = attrs.field(factory=Bell)
    _places: dict[Parts, _Place] = attrs.field(factory=dict)

    def try_take(self, key: Hashable, uses: Sequence[Use]) -> str:
        """Take all directories for a process, or none; return the one that is not free, "" where all are.

        Directories that the same content fills are shared. One that lies inside another, or holds one, is not: a job could
        change the way to it while the other's is being mounted.
        """
        for use in uses:
            if any(self._in_the_way(key, use)):
                return use.path
        self.adopt(key, uses)
        return ""

    def _in_the_way(self, key: Hashable, use: Use) -> Iterator[bool]:
        for parts, place in self._places.items():
            if place.users - {key}:
                if parts == use.parts:
                    yield place.content != use.content
                else:
                    shorter = min(len(parts), len(use.parts))
                    yield parts[:shorter] == use.parts[:shorter]

    def adopt(self, key: Hashable, uses: Sequence[Use]) -> None:
        """Count directories that a process has already."""
        for use in uses:
            self._places.setdefault(use.parts, _Place(use.content)).users.add(key)

    def shared(self, key: Hashable, parts: Parts) -> bool:
        """Return whether others use the directory too."""
        place = self._places.get(parts)
        return place is not None and bool(place.users - {key})

    def lock(self, parts: Parts) -> anyio.Lock:
        """Return what keeps two from synchronising the same directory at once."""
        return self._places[parts].lock

    def give_back(self, key: Hashable) -> None:
        """Forget a process."""
        for parts, place in list(self._places.items()):
            place.users.discard(key)
            if not place.users:
                del self._places[parts]
        self.changed.ring()
