"""Figures that several benchmarks tell."""

from collections.abc import Iterable


def p95(values: Iterable[float]) -> float:
    """Return what 95 of 100 values do not exceed: of fewer than twenty, the largest."""
    ordered = sorted(values)
    return ordered[int(0.95 * len(ordered))]
