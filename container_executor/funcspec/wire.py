"""Writing a function spec as the server understands it.

The server knows one spelling of each key, cpu only as ``<n>m`` and sizes only with a unit; it turns cpu ``2`` into 0, rounds sizes
down to whole MiB, and ends a process without ``maxexectime`` within a second. What is written here survives all that.
"""

from typing import Any

from container_executor.funcspec.model import (
    EXECUTE,
    Conditions,
    DirSync,
    Filesystem,
    FunctionSpec,
    SnapshotMount,
)
from container_executor.units import format_cpu, format_memory


def to_wire(spec: FunctionSpec) -> dict[str, Any]:
    """Return the spec as JSON values to submit. :func:`parse` reads the same spec back."""
    wire = {
        "nodename": spec.nodename,
        "funcname": spec.funcname,
        "args": list(spec.positional),
        "kwargs": _kwargs(spec),
        "priority": spec.priority,
        "maxwaittime": spec.maxwaittime,
        "maxexectime": spec.maxexectime,
        "maxretries": spec.maxretries,
        "conditions": _conditions(spec.conditions),
        "label": spec.label,
        "env": dict(spec.env),
    }
    if spec.fs:
        wire["fs"] = _filesystem(spec.fs)
    if spec.channels:
        wire["channels"] = list(spec.channels)
    return wire


def _kwargs(spec: FunctionSpec) -> dict[str, Any]:
    if spec.funcname != EXECUTE:
        return dict(spec.kwargs)
    known = {
        "docker-image": spec.image,
        "cmd": spec.cmd,
        "args": list(spec.args),
        "init-cmd": spec.init_cmd,
        "rebuild-image": spec.rebuild_image,
    }
    return {**{key: value for key, value in known.items() if value}, **spec.kwargs}


def _conditions(conditions: Conditions) -> dict[str, Any]:
    wire = {
        "colonyname": conditions.colony,
        "executornames": list(conditions.executor_names),
        "executortype": conditions.executor_type,
        "dependencies": list(conditions.dependencies),
        "nodes": conditions.nodes,
        "cpu": format_cpu(conditions.cpu),
        "processes": conditions.processes,
        "processespernode": conditions.processes_per_node,
        "mem": format_memory(conditions.memory),
        "storage": format_memory(conditions.storage),
        "gpu": {
            "name": conditions.gpu.name,
            "mem": format_memory(conditions.gpu.memory),
            "count": conditions.gpu.count,
        },
        "walltime": int(conditions.walltime.total_seconds()) if conditions.walltime else 0,
    }
    return {**wire, "locationname": conditions.location} if conditions.location else wire


def _filesystem(fs: Filesystem) -> dict[str, Any]:
    return {
        "mount": fs.mount,
        "snapshots": [_snapshot(snapshot) for snapshot in fs.snapshots],
        "dirs": [_dir(entry) for entry in fs.dirs],
    }


def _snapshot(snapshot: SnapshotMount) -> dict[str, Any]:
    return {
        "snapshotid": snapshot.snapshot_id,
        "label": snapshot.label,
        "dir": snapshot.dir,
        "keepfiles": snapshot.keepfiles,
        "keepsnapshot": snapshot.keepsnapshot,
    }


def _dir(entry: DirSync) -> dict[str, Any]:
    return {
        "label": entry.label,
        "dir": entry.dir,
        "keepfiles": entry.keepfiles,
        "onconflicts": {
            "onstart": {"keeplocal": entry.keeplocal_on_start},
            "onclose": {"keeplocal": entry.keeplocal_on_close},
        },
    }
