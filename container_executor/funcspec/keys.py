"""Every key of a function spec: its name on the wire, how else users have spelled it, and what replaced the obsolete ones.

Case, hyphens and underscores do not count: ``processes-per-node``, ``processes_per_node`` and ``ProcessesPerNode`` are all
``processespernode``. The server itself drops a key that it does not know without a word.
"""

import difflib
from collections.abc import Mapping

import attrs

_COMPARED = 40
"""Characters of a wrong key that are compared with the right ones; comparing is quadratic in the length."""


def fold(key: str) -> str:
    """Return *key* without what does not count: case, hyphens, underscores."""
    return key.lower().replace("-", "").replace("_", "")


@attrs.frozen
class Keys:
    """The keys of one kind of object.

    Attributes:
        names: Names on the wire.
        synonyms: Folded other spelling -> name on the wire.
        misspelled: Folded misspelling -> name on the wire; understood, with a warning.
        obsolete: Folded key that is understood no more -> what to write instead.
    """

    names: tuple[str, ...]
    synonyms: Mapping[str, str] = attrs.field(factory=dict)
    misspelled: Mapping[str, str] = attrs.field(factory=dict)
    obsolete: Mapping[str, str] = attrs.field(factory=dict)
    _folded: Mapping[str, str] = attrs.field(init=False, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        own = {fold(name): name for name in self.names}
        object.__setattr__(self, "_folded", {**self.synonyms, **self.misspelled, **own})

    def find(self, key: str) -> str | None:
        """Return the name on the wire of a key in any spelling, or None where there is none."""
        return self._folded.get(fold(key))

    def replacement(self, key: str) -> str | None:
        """Return what to write instead of an obsolete key, or None where it is none."""
        return self.obsolete.get(fold(key))

    def nearest(self, key: str) -> str | None:
        """Return the name that a wrong key most looks like, or None where it looks like none."""
        close = difflib.get_close_matches(fold(key[:_COMPARED]), self._folded, n=1)
        return self._folded[close[0]] if close else None


SPEC = Keys(
    names=(
        "nodename", "funcname", "args", "kwargs", "priority", "maxwaittime", "maxexectime", "maxretries",
        "conditions", "label", "fs", "env", "channels",
    ),
    synonyms={"func": "funcname", "function": "funcname", "filesystem": "fs", "environment": "env"},
    obsolete={
        "timeout": "write maxexectime (how long the process may run) or maxwaittime (how long it may wait)",
        "mem": "write it as conditions.mem",
        "cores": "write it as conditions.cpu",
        "gpus": 'write it as conditions.gpu, {"count": N}',
        "runtimetype": "write it as conditions.executortype",
        "cmd": "write it as kwargs.cmd",
        "image": "write it as kwargs.docker-image",
        "dockerimage": "write it as kwargs.docker-image",
        "walltime": "write it as conditions.walltime",
    },
)  # fmt: skip

CONDITIONS = Keys(
    names=(
        "colonyname", "executornames", "executortype", "locationname", "dependencies", "nodes", "cpu", "processes",
        "processespernode", "mem", "storage", "gpu", "walltime",
    ),
    synonyms={"memory": "mem", "location": "locationname", "colony": "colonyname"},
    obsolete={
        "colonyid": "colonies go by name now; write colonyname",
        "runtimetype": "runtimes are called executors now; write executortype",
        "runtimeids": "runtimes are called executors now and go by name; write executornames",
        "runtimeid": "runtimes are called executors now and go by name; write executornames",
        "executorid": "executors are chosen by name; write executornames, a list",
        "executorids": "executors are chosen by name; write executornames, a list",
        "executorname": 'write executornames, a list such as ["name"]',
        "cores": 'write cpu, such as "2" or "500m"',
        "gpus": 'write gpu, {"count": N}',
        "timeout": "write walltime (how long the program may run) here, or maxexectime at the top",
        "maxexectime": "it stands at the top of the spec, beside conditions",
        "maxwaittime": "it stands at the top of the spec, beside conditions",
        "maxretries": "it stands at the top of the spec, beside conditions",
    },
)  # fmt: skip

GPU = Keys(names=("name", "mem", "count", "nodecount"), synonyms={"memory": "mem"})

EXECUTE_KWARGS = Keys(
    names=("docker-image", "cmd", "args", "init-cmd", "rebuild-image"),
    synonyms={"image": "docker-image"},
)

FS = Keys(
    names=("mount", "snapshots", "dirs"),
    synonyms={"snapshotmounts": "snapshots", "syncdirs": "dirs"},
)

SNAPSHOT = Keys(
    names=("snapshotid", "label", "dir", "keepfiles", "keepsnapshot"),
    misspelled={"keepsnaphot": "keepsnapshot", "keepsnapshots": "keepsnapshot", "keepsnaphots": "keepsnapshot"},
    obsolete={"onconflicts": "a snapshot is only ever downloaded; leave it out"},
)

DIR = Keys(
    names=("label", "dir", "keepfiles", "onconflicts"),
    obsolete={
        "synconcompletion": "directories are always written back; write onconflicts.onclose.keeplocal to say which side wins",
        "keeplocal": "write it as onconflicts.onstart.keeplocal or onconflicts.onclose.keeplocal",
        "snapshotid": "write this entry in fs.snapshots",
        "keepsnapshot": "write this entry in fs.snapshots",
    },
)

ON_CONFLICTS = Keys(names=("onstart", "onclose"))

ON_CONFLICT = Keys(names=("keeplocal",))
