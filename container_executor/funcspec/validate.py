"""Refusing, before anything is staged, what cannot run: values that are impossible or contradict each other, and a site's limits."""

from collections.abc import Iterable, Iterator
from datetime import timedelta

import attrs

from container_executor.errors import SpecError
from container_executor.funcspec.directories import filesystem_contradictions
from container_executor.funcspec.images import check_image, check_reference
from container_executor.funcspec.job import SCRIPT_BYTES, make_argv, substitute
from container_executor.funcspec.keys import fold
from container_executor.funcspec.model import EXECUTE, Conditions, FunctionSpec
from container_executor.funcspec.report import Report, join
from container_executor.units import format_duration, format_size

MOST_MATCHED = 127
"""A server gives a process with more nodes, or more processes per node, to nobody."""

LONGEST_STRING = 131_071
"""Bytes of one argument or ``NAME=value``: the kernel's MAX_ARG_STRLEN less the final NUL (execve(2))."""

LONGEST_LABEL = 2000
"""Bytes of ``label``: the server has an index on it."""

_STAND_IN = "0" * 64
_PER_STRING = 9  # a NUL and a pointer


@attrs.frozen
class Limits:
    """What a site allows.

    Attributes:
        ranks: Copies of the program in one job.
        walltime: How long a job may run; None for no limit.
        args_bytes: Bytes of program and arguments together, counted as the kernel does: each with its NUL and a pointer.
        env_bytes: Bytes of the user's variables, counted likewise.
        images: Shell patterns, one of which must match the full reference of an image, such as ``docker.io/library/*``;
            empty allows all. ``*`` matches slashes too.
        image_roots: Directories below which a spec may name image files of the site.
    """

    ranks: int = 1024
    walltime: timedelta | None = timedelta(days=7)
    args_bytes: int = 2**20
    env_bytes: int = 2**18
    images: tuple[str, ...] = ()
    image_roots: tuple[str, ...] = ()


def validate(spec: FunctionSpec, limits: Limits = Limits()) -> None:
    """Do nothing if the spec can run at a site with these limits, as far as the spec itself tells.

    Raises:
        SpecError: With every problem found, each with its JSON path.
    """
    report = Report()
    note_contradictions(spec, report)
    _note(_excesses(substitute(spec, _STAND_IN), limits), report)
    report.check()


def note_contradictions(spec: FunctionSpec, report: Report) -> None:
    """Note what can run at no site, except at the places where something is noted already."""
    _note(_contradictions(substitute(spec, _STAND_IN)), report)


def _note(found: Iterable[tuple[str, str]], report: Report) -> None:
    known = {fold(problem.path) for problem in report.problems}
    for path, message in found:
        if fold(path) not in known:
            report.error(path, message)


def _contradictions(spec: FunctionSpec) -> Iterator[tuple[str, str]]:
    yield from _count_contradictions(spec.conditions)
    if spec.funcname == EXECUTE:
        yield from _command_contradictions(spec)
    for name in spec.env:
        if not name or "=" in name or not name.isprintable() or " " in name:
            yield join("env", name), "is no name of a variable; expected letters, digits and underscores"
    if spec.fs:
        yield from filesystem_contradictions(spec.fs)
    if len(spec.label.encode()) > LONGEST_LABEL:
        yield "label", f"is longer than {LONGEST_LABEL} bytes"


def _count_contradictions(conditions: Conditions) -> Iterator[tuple[str, str]]:
    counts = {
        "nodes": conditions.nodes,
        "processespernode": conditions.processes_per_node,
        "processes": conditions.processes,
    }
    for name, count in counts.items():
        if count > MOST_MATCHED:
            yield f"conditions.{name}", f"is {count}; a server gives more than {MOST_MATCHED} to nobody"


def _command_contradictions(spec: FunctionSpec) -> Iterator[tuple[str, str]]:
    try:
        check_reference(spec.image)
    except ValueError as error:
        yield "kwargs.docker-image", str(error)
    try:
        make_argv(spec.cmd, spec.args, spec.init_cmd)
    except SpecError as error:
        for problem in error.problems:
            yield problem.path, problem.message


def _excesses(spec: FunctionSpec, limits: Limits) -> Iterator[tuple[str, str]]:
    ranks = spec.conditions.ranks
    if ranks > limits.ranks:
        yield "conditions.nodes", f"times processespernode is {ranks} ranks; this site allows {limits.ranks}"
    if limits.walltime and spec.walltime and spec.walltime > limits.walltime:
        path = "conditions.walltime" if spec.conditions.walltime else "maxexectime"
        yield path, f"is {format_duration(spec.walltime)}; this site allows {format_duration(limits.walltime)}"
    if spec.funcname == EXECUTE:
        yield from _image_excess(spec, limits)
        yield from _argument_excesses(spec, limits)
    yield from _env_excesses(spec, limits)


def _image_excess(spec: FunctionSpec, limits: Limits) -> Iterator[tuple[str, str]]:
    try:
        check_image(spec.image, allowed=limits.images, roots=limits.image_roots)
    except ValueError as error:
        yield "kwargs.docker-image", str(error)


def _argument_excesses(spec: FunctionSpec, limits: Limits) -> Iterator[tuple[str, str]]:
    sizes = [len(arg.encode()) for arg in spec.args]
    for i, size in enumerate(sizes):
        if size > LONGEST_STRING:
            yield f"kwargs.args[{i}]", _too_long(size)
    line = len(spec.cmd.encode()) + len(spec.init_cmd.encode()) + SCRIPT_BYTES
    if line > LONGEST_STRING:
        yield "kwargs.cmd", f"together with init-cmd {_too_long(line)}"
    total = line + sum(sizes) + len(sizes) * _PER_STRING
    if total > limits.args_bytes:
        yield "kwargs.args", _too_much(total, limits.args_bytes)


def _env_excesses(spec: FunctionSpec, limits: Limits) -> Iterator[tuple[str, str]]:
    sizes = {name: len(name.encode()) + len(value.encode()) + 1 for name, value in spec.env.items()}
    for name, size in sizes.items():
        if size > LONGEST_STRING:
            yield join("env", name), _too_long(size)
    total = sum(sizes.values()) + len(sizes) * _PER_STRING
    if total > limits.env_bytes:
        yield "env", _too_much(total, limits.env_bytes)


def _too_long(size: int) -> str:
    return f"has {size} bytes; the kernel takes {LONGEST_STRING} in one piece. Put it into a file, see fs"


def _too_much(size: int, limit: int) -> str:
    return f"has {format_size(size)} in all; this site allows {format_size(limit)}. Put it into a file, see fs"
