"""What the quotas of a namespace leave free. Pure."""

from collections.abc import Iterable, Mapping
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


def free(quotas: Iterable[Mapping[str, Any]], gpus: Iterable[str]) -> Capacity | None:
    """Return what the strictest quotas leave, None where none is about cpu, memory or one of the *gpus* resources."""
    left: dict[str, Decimal] = {}
    for quota in quotas:
        status = quota.get("status", {})
        for name, hard in status.get("hard", {}).items():
            rest = max(Decimal(0), quantity(hard) - quantity(status.get("used", {}).get(name, "0")))
            left[name] = min(left.get(name, rest), rest)
    found = Capacity(
        cpu=_least(left, _CPU, 1000),
        memory=_least(left, _MEMORY, 1),
        gpus=_least(left, [f"requests.{gpu}" for gpu in gpus], 1),
    )
    return None if found == Capacity() else found


def quantity(text: str) -> Decimal:
    """Return a quantity as a number."""
    number = text.rstrip("mkKMGTPEi")
    unit = text[len(number) :]
    return Decimal(number) * _UNITS[unit]


def _least(left: Mapping[str, Decimal], names: Iterable[str], factor: int) -> int | None:
    found = [int(left[name] * factor) for name in names if name in left]
    return min(found) if found else None
