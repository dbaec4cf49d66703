"""What the quotas of a namespace allow, and leave free. Pure."""

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

from container_executor.models import Capacity

_UNITS = {
    "m": Decimal("0.001"),
    "": Decimal(1),
    **{unit: Decimal(1000) ** power for power, unit in enumerate("kMGTPE", 1)},
    **{f"{unit}i": Decimal(1024) ** power for power, unit in enumerate("KMGTPE", 1)},
}
"""Suffixes of a quantity (kubernetes.io, Quantity)."""
_CPU = ("cpu", "requests.cpu", "limits.cpu")
_MEMORY = ("memory", "requests.memory", "limits.memory")

Quotas = Iterable[Mapping[str, Any]]


def free(quotas: Quotas, gpus: Iterable[str]) -> Capacity | None:
    """Return what the strictest quotas leave, None where none is about cpu, memory or one of the *gpus* resources."""
    return _strictest(quotas, gpus, lambda hard, used: max(Decimal(0), hard - used))


def total(quotas: Quotas, gpus: Iterable[str]) -> Capacity | None:
    """Return what the strictest quotas allow in all, None as :func:`free` does."""
    return _strictest(quotas, gpus, lambda hard, _used: hard)


def _strictest(quotas: Quotas, gpus: Iterable[str], allows: Callable[[Decimal, Decimal], Decimal]) -> Capacity | None:
    least: dict[str, Decimal] = {}
    for quota in quotas:
        status = quota.get("status", {})
        for name, hard in status.get("hard", {}).items():
            allowed = allows(quantity(hard), quantity(status.get("used", {}).get(name, "0")))
            least[name] = min(least.get(name, allowed), allowed)
    found = Capacity(
        cpu=_least(least, _CPU, 1000),
        memory=_least(least, _MEMORY, 1),
        gpus=_least(least, [f"requests.{gpu}" for gpu in gpus], 1),
    )
    return None if found == Capacity() else found


def quantity(text: str) -> Decimal:
    """Return a quantity as a number."""
    number = text.rstrip("mkKMGTPEi")
    unit = text[len(number) :]
    return Decimal(number) * _UNITS[unit]


def _least(allowed: Mapping[str, Decimal], names: Iterable[str], factor: int) -> int | None:
    found = [int(allowed[name] * factor) for name in names if name in allowed]
    return min(found) if found else None
