"""Quantities as people write them, parsed once and at the edge: cores, bytes, seconds."""

import re
from datetime import timedelta
from decimal import Decimal

_CPU = re.compile(r"(?P<number>\d+(?:\.\d+)?|\.\d+)(?P<milli>m?)")
_MEMORY = re.compile(r"(?P<number>\d+(?:\.\d+)?|\.\d+)\s?(?P<unit>[A-Za-z]*)")

_BYTES = {
    "": 1, "b": 1,
    "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40,
    "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40,
    "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12,
    "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12,
}  # fmt: skip

_MOST_DIGITS = 100  # arithmetic with a million digits overflows

LARGEST = 2**63 - 1
"""No quantity is larger: servers and engines hold them in 64 bits."""


def parse_cpu(text: str) -> int:
    """Parse cores such as ``500m``, ``2`` or ``0.5`` into millicores, rounded up.

    Raises:
        ValueError: The text is no non-negative number of cores; the message says what is expected.
    """
    match = _CPU.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{_cut(text)} is no number of cores; write 500m, 2 or 0.5")
    number = _decimal(match["number"])
    return _bounded(number if match["milli"] else number * 1000, text)


def parse_memory(text: str) -> int:
    """Parse a size such as ``1Gi``, ``512Mi``, ``1.5GB`` or ``1024K`` into bytes, rounded up.

    ``Ki Mi Gi Ti`` (also with a trailing ``B``) are powers of 1024, ``K M G T`` and ``KB MB GB TB`` powers of 1000,
    in any case. A number alone is bytes.

    Raises:
        ValueError: The text is no non-negative size; the message says what is expected.
    """
    match = _MEMORY.fullmatch(text.strip())
    factor = _BYTES.get(match["unit"].lower()) if match else None
    if match is None or factor is None:
        raise ValueError(f"{_cut(text)} is no size; write 512Mi, 1Gi, 1.5Gi, 2000MB or 2G")
    return _bounded(_decimal(match["number"]) * factor, text)


def format_cpu(millicores: int) -> str:
    """Format millicores as the server reads them: ``500m``."""
    return f"{millicores}m"


def format_memory(size: int) -> str:
    """Format bytes as the server reads them, whole MiB, rounded up: ``1024Mi``."""
    return f"{-(-size // 2**20)}Mi"


def format_size(size: float) -> str:
    """Format bytes for a person: ``1.5 GiB``."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def format_duration(duration: timedelta) -> str:
    """Format a duration for a person: ``0.8 s``, ``2 min 5 s``, ``3 h 4 min``."""
    seconds = duration.total_seconds()
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def _decimal(text: str) -> Decimal:
    if len(text) > _MOST_DIGITS:
        raise ValueError(f"{_cut(text)} has too many digits")
    return Decimal(text)


def _bounded(number: Decimal, text: str) -> int:
    if number > LARGEST:
        raise ValueError(f"{_cut(text)} is larger than any machine")
    return int(number.to_integral_value(rounding="ROUND_CEILING"))


def _cut(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:40] + "...")
