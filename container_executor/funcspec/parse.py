"""Reading a function spec from JSON values, in every spelling that users have written.

What a user wrote is read strictly: the server drops unknown keys without a word, so they are errors here. What a server sent may
come from a newer one, so unknown keys are only warned of.
"""

from collections.abc import Mapping
from datetime import timedelta
from itertools import islice
from typing import Any

import attrs

from container_executor.errors import Problem
from container_executor.funcspec import keys
from container_executor.funcspec.images import DOCKER_SCHEME
from container_executor.funcspec.keys import fold
from container_executor.funcspec.model import (
    EXECUTE,
    NO_LIMIT,
    Conditions,
    DirSync,
    Filesystem,
    FunctionSpec,
    Gpu,
    SnapshotMount,
)
from container_executor.funcspec.reading import (
    Section,
    open_section,
    read_free,
    read_list,
    read_object,
    read_word,
    refuse_others,
    whole_mib,
)
from container_executor.funcspec.report import MOST_NOTES, Report, join
from container_executor.funcspec.validate import note_contradictions
from container_executor.units import parse_cpu

MOST = 2**31 - 1
"""No count and no number of seconds is larger: the server keeps them in 32 bits."""

MOST_PRIORITY = 50_000
"""The server refuses priorities beyond this, up and down."""

_MANY_CORES = 256_000
_SPEC = '{"funcname": "execute", "kwargs": {"cmd": "echo", "docker-image": "busybox"}}'
_DIR = '{"label": "/in", "dir": "/in"}'
_SNAPSHOT = '{"snapshotid": "...", "label": "/src", "dir": "/src"}'
_FS = f'{{"mount": "/cfs", "dirs": [{_DIR}]}}'


@attrs.frozen
class Parsed:
    """A spec that was read, and what its user should know about it."""

    spec: FunctionSpec
    warnings: tuple[Problem, ...] = ()


def parse(value: object, *, strict: bool = True) -> Parsed:
    """Read a function spec from JSON values.

    Args:
        value: What ``json.loads`` returns.
        strict: A user wrote it. False for what a server sent: keys unknown to us are warnings then, and a ``maxexectime``
            of 0, with which the server takes the process back at once, stays 0.

    Raises:
        SpecError: With every problem found, each with its JSON path.
    """
    report = Report(strict=strict)
    section = _open(value, report)
    spec = _spec(section)
    if report.problems:
        note_contradictions(spec, report)
    report.check()
    return Parsed(spec, tuple(report.warnings))


def _open(value: object, report: Report) -> Section:
    if isinstance(value, list):
        report.error("", "is a list, which is a workflow; expected one function spec, an object")
    section = open_section({} if report.problems else value, "", keys.SPEC, report, _SPEC)
    report.check()
    refuse_others(section, keys.SPEC)
    return section


def _spec(section: Section) -> FunctionSpec:
    conditions = _conditions(section.section("conditions", keys.CONDITIONS, '{"executortype": "container-executor"}'))
    funcname = section.text("funcname")
    if not funcname and "funcname" not in section.members:
        section.report.refuse("funcname", f"missing; write {EXECUTE} to run a container")
        funcname = EXECUTE if section.report.strict else ""  # so that the kwargs are checked too
    spec = FunctionSpec(
        funcname=funcname,
        conditions=conditions,
        env=_env(section),
        fs=_filesystem(section),
        maxwaittime=_limit(section, "maxwaittime") or NO_LIMIT,
        maxexectime=_maxexectime(section),
        maxretries=_limit(section, "maxretries"),
        priority=section.whole("priority", low=-MOST_PRIORITY, high=MOST_PRIORITY),
        label=section.text("label"),
        nodename=section.text("nodename"),
        channels=section.texts("channels"),
        positional=_positional(section),
    )
    return _with_kwargs(spec, section)


def _conditions(section: Section) -> Conditions:
    refuse_others(section, keys.CONDITIONS)
    conditions = Conditions(
        colony=section.text("colonyname"),
        executor_type=section.text("executortype"),
        executor_names=section.texts("executornames"),
        nodes=section.whole("nodes", low=0, high=MOST) or 1,
        processes_per_node=section.whole("processespernode", low=0, high=MOST) or 1,
        processes=section.whole("processes", low=0, high=MOST),
        cpu=section.quantity("cpu", parse_cpu),
        memory=section.quantity("mem", whole_mib),
        storage=section.quantity("storage", whole_mib),
        gpu=_gpu(section.section("gpu", keys.GPU, '{"count": 1}')),
        walltime=_walltime(section),
        location=section.text("locationname"),
        dependencies=section.texts("dependencies"),
    )
    _warn_of_conditions(conditions, section)
    return conditions


def _warn_of_conditions(conditions: Conditions, section: Section) -> None:
    warn = section.report.warn
    if not conditions.executor_type:
        warn(section.at("executortype"), "missing; a server gives the process to no executor without it")
    if conditions.cpu >= _MANY_CORES:
        warn(section.at("cpu"), f"asks for {conditions.cpu // 1000} cores; did you mean {conditions.cpu // 1000}m?")
    if conditions.storage:
        warn(section.at("storage"), "many servers never give a process with storage to anybody; leave it out")
    ranks = conditions.ranks
    if conditions.processes not in {0, ranks}:
        warn(section.at("processes"), f"is ignored: nodes times processespernode is {ranks}, and so many run")


def _gpu(section: Section) -> Gpu:
    refuse_others(section, keys.GPU)
    if section.whole("nodecount", low=0, high=MOST):
        section.report.warn(section.at("nodecount"), "is ignored: every rank gets gpu.count GPUs")
    return Gpu(
        count=section.whole("count", low=0, high=MOST),
        name=section.text("name"),
        memory=section.quantity("mem", whole_mib),
    )


def _walltime(section: Section) -> timedelta | None:
    seconds = _seconds(section, "walltime")
    return timedelta(seconds=seconds) if seconds > 0 else None


def _maxexectime(section: Section) -> int:
    seconds = _seconds(section, "maxexectime")
    if section.report.strict:
        return seconds or NO_LIMIT
    return seconds if seconds == NO_LIMIT else max(seconds, 0)


def _seconds(section: Section, name: str) -> int:
    low = NO_LIMIT if section.report.strict else -MOST
    return section.whole(name, low=low, high=MOST)


def _limit(section: Section, name: str) -> int:
    return max(_seconds(section, name), NO_LIMIT)


def _env(section: Section) -> dict[str, str]:
    path = section.at("env")
    values = read_object(section.members.get("env", {}), path, section.report, '{"NAME": "value"}')
    env = {}
    for name, value in values.items():
        word = read_word(value, join(path, name), section.report)
        if word is not None:
            env[name] = word
    return env


def _filesystem(section: Section) -> Filesystem | None:
    value = section.members.get("fs", {})
    if isinstance(value, list):
        section.report.error(section.at("fs"), f"the form as a list is not understood any more; write {_FS}")
        return None
    fs = open_section(value, section.at("fs"), keys.FS, section.report, _FS)
    refuse_others(fs, keys.FS)
    dirs = tuple(_dir(entry) for entry in fs.sections("dirs", keys.DIR, _DIR))
    snapshots = tuple(_snapshot(entry) for entry in fs.sections("snapshots", keys.SNAPSHOT, _SNAPSHOT))
    mount = fs.text("mount").rstrip("/") or fs.text("mount")[:1]
    return Filesystem(mount, dirs, snapshots) if mount or dirs or snapshots else None


def _dir(section: Section) -> DirSync:
    refuse_others(section, keys.DIR)
    conflicts = section.section("onconflicts", keys.ON_CONFLICTS, '{"onclose": {"keeplocal": true}}')
    refuse_others(conflicts, keys.ON_CONFLICTS)
    return DirSync(
        label=_slashed(section.text("label")),
        dir=_slashed(section.text("dir")),
        keepfiles=section.flag("keepfiles"),
        keeplocal_on_start=_keeplocal(conflicts, "onstart"),
        keeplocal_on_close=_keeplocal(conflicts, "onclose"),
    )


def _keeplocal(conflicts: Section, name: str) -> bool:
    section = conflicts.section(name, keys.ON_CONFLICT, '{"keeplocal": true}')
    refuse_others(section, keys.ON_CONFLICT)
    return section.flag("keeplocal")


def _snapshot(section: Section) -> SnapshotMount:
    refuse_others(section, keys.SNAPSHOT)
    if fold(section.spelled.get("keepsnapshot", "")) in keys.SNAPSHOT.misspelled:
        section.report.warn(section.at("keepsnapshot"), "is read as keepsnapshot; a server drops it as it is spelled")
    return SnapshotMount(
        snapshot_id=section.text("snapshotid"),
        label=_slashed(section.text("label")),
        dir=_slashed(section.text("dir")),
        keepfiles=section.flag("keepfiles"),
        keepsnapshot=section.flag("keepsnapshot"),
    )


def _slashed(path: str) -> str:
    return "/" + path.strip("/") if path else ""


def _positional(section: Section) -> tuple[Any, ...]:
    path = section.at("args")
    items = read_list(section.members.get("args", []), path, section.report, "[1, 2]")
    return tuple(read_free(item, f"{path}[{i}]", section.report) for i, item in enumerate(items))


def _with_kwargs(spec: FunctionSpec, section: Section) -> FunctionSpec:
    value, path, report = section.members.get("kwargs", {}), section.at("kwargs"), section.report
    if spec.funcname != EXECUTE:
        values = read_object(value, path, report, '{"name": "value"}')
        return attrs.evolve(spec, kwargs=_free_kwargs(values, path, report))
    if spec.positional:
        report.warn(section.at("args"), "is not what the program gets; write kwargs.args")
    return _with_command(spec, open_section(value, path, keys.EXECUTE_KWARGS, report, '{"cmd": "echo"}'))


def _with_command(spec: FunctionSpec, kwargs: Section) -> FunctionSpec:
    for name, example in (("cmd", "echo"), ("docker-image", "busybox")):
        if kwargs.members.get(name, "") == "":
            kwargs.report.error(kwargs.at(name), f"missing; expected a text such as {example}")
    for key in islice(kwargs.others, MOST_NOTES):
        nearest = keys.EXECUTE_KWARGS.nearest(key)
        if nearest:
            kwargs.report.warn(join(kwargs.path, key), f"means nothing to {EXECUTE}; did you mean {nearest}?")
    return attrs.evolve(
        spec,
        image=kwargs.text("docker-image").strip().removeprefix(DOCKER_SCHEME),
        cmd=kwargs.text("cmd"),
        args=_words(kwargs),
        init_cmd=kwargs.text("init-cmd"),
        rebuild_image=kwargs.flag("rebuild-image"),
        kwargs=_free_kwargs(kwargs.others, kwargs.path, kwargs.report),
    )


def _words(kwargs: Section) -> tuple[str, ...]:
    path = kwargs.at("args")
    items = read_list(kwargs.members.get("args", []), path, kwargs.report, '["hello", "world"]')
    words = [read_word(item, f"{path}[{i}]", kwargs.report) for i, item in enumerate(items)]
    return tuple(word for word in words if word is not None)


def _free_kwargs(values: Mapping[str, Any], path: str, report: Report) -> dict[str, Any]:
    return {key: read_free(value, join(path, key), report) for key, value in values.items()}
