"""A function spec on the wire, and as it is stored and sent back."""

import re
from typing import Any

import attrs

from container_executor.server.fields import (
    anything,
    boolean,
    free_map,
    integer,
    list_of,
    map_of,
    struct,
    text,
)
from container_executor.server.refusal import Refused

_KEEP = struct(keeplocal=boolean)

FUNCTION_SPEC = struct(
    nodename=text,
    funcname=text,
    args=list_of(anything),
    kwargs=free_map,
    priority=integer,
    maxwaittime=integer,
    maxexectime=integer,
    maxretries=integer,
    conditions=struct(
        colonyname=text,
        executornames=list_of(text),
        executortype=text,
        locationname=text,
        dependencies=list_of(text),
        nodes=integer,
        cpu=text,
        processes=integer,
        processespernode=integer,
        mem=text,
        storage=text,
        gpu=struct(name=text, mem=text, count=integer, nodecount=integer),
        walltime=integer,
    ),
    label=text,
    fs=struct(
        mount=text,
        snapshots=list_of(struct(snapshotid=text, label=text, dir=text, keepfiles=boolean, keepsnapshot=boolean)),
        dirs=list_of(struct(label=text, dir=text, keepfiles=boolean, onconflicts=struct(onstart=_KEEP, onclose=_KEEP))),
    ),
    env=map_of(text),
    channels=list_of(text),
)

PRIORITIES = range(-50_000, 50_001)

_CPU = re.compile(r"[+-]?[0-9]{1,18}")
_MEMORY = re.compile(r"([+-]?[0-9]{1,18})([A-Za-z]+)")
_BYTES = {
    "Ki": 2**10, "KiB": 2**10, "Mi": 2**20, "MiB": 2**20, "Gi": 2**30, "GiB": 2**30, "TiB": 2**40,
    "K": 10**3, "KB": 10**3, "Kb": 10**3, "M": 10**6, "MB": 10**6, "Mb": 10**6,
    "G": 10**9, "Gb": 10**9, "TB": 10**12, "Tb": 10**12,
}  # fmt: skip
_MIB = 2**20


def millicores(cpu: str) -> int:
    """Read millicores. Only ``<number>m`` counts; anything without the m is 0, as on the Colonies server.

    Raises:
        Refused: There is an m, but no integer before it.
    """
    if not cpu.endswith("m"):
        return 0
    if _CPU.fullmatch(cpu[:-1]) is None:
        raise Refused(400, "Error converting CPU to int")
    return int(cpu[:-1])


def memory_bytes(size: str) -> int:
    """Read a size with its unit into bytes; no text is 0. The units are those of the Colonies server's parser.

    Raises:
        Refused: The text is no integer with a known unit.
    """
    if not size:
        return 0
    match = _MEMORY.fullmatch(size)
    if match is None or match[2] not in _BYTES:
        raise Refused(400, f"error converting memory to int: {size!r} is no integer with one of {', '.join(_BYTES)}")
    found = int(match[1]) * _BYTES[match[2]]
    if not -(2**63) < found < 2**63:
        raise Refused(400, f"error converting memory to int: {size!r} does not fit 64 bits")
    return found


@attrs.frozen
class Needs:
    """What a spec asks for, in numbers.

    Attributes:
        cpu: Millicores.
        memory: Bytes.
    """

    cpu: int
    memory: int


def check_priority(spec: dict[str, Any]) -> None:
    """Refuse a priority out of range."""
    if spec["priority"] not in PRIORITIES:
        raise Refused(400, "Failed to submit function spec, priority outside range [-50000, 50000]")


def settle(spec: dict[str, Any]) -> Needs:
    """Bring a decoded spec, in place, into the shape in which it is sent back, and return what it needs.

    Sizes lose their original text (``1G`` becomes ``953Mi``), the GPU's node count is not kept, an empty location and
    empty channels disappear.

    Raises:
        Refused: A quantity cannot be read.
    """
    conditions = spec["conditions"]
    needs = Needs(millicores(conditions["cpu"]), memory_bytes(conditions["mem"]))
    conditions["cpu"] = f"{needs.cpu}m"
    conditions["mem"] = _mebibytes(needs.memory)
    conditions["storage"] = _mebibytes(memory_bytes(conditions["storage"]))
    conditions["gpu"] |= {"mem": _mebibytes(memory_bytes(conditions["gpu"]["mem"])), "nodecount": 0}
    conditions["dependencies"] = conditions["dependencies"] or []
    if not conditions["locationname"]:
        del conditions["locationname"]
    for name, empty in (("args", []), ("kwargs", {}), ("env", {})):
        spec[name] = spec[name] or empty
    if not spec["channels"]:
        del spec["channels"]
    return needs


def _mebibytes(size: int) -> str:
    return f"{int(size / _MIB) if size < 0 else size // _MIB}Mi"
