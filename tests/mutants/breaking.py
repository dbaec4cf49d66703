"""Which broken backend must fail which case."""

from collections.abc import Callable

from container_executor.backend import Backend

MUTANTS: dict[type[Backend], tuple[str, ...]] = {}
"""The broken backends, and the cases of the suite that each must fail."""


def breaks(*cases: str) -> Callable[[type[Backend]], type[Backend]]:
    """Register a backend that is broken in such a way that *cases* fail on it."""

    def register(kind: type[Backend]) -> type[Backend]:
        MUTANTS[kind] = cases
        return kind

    return register
