"""Function specs from the command line: files or the standard input, changed by ``--set``, and read."""

import json
import re
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import click

from container_executor.cli.output import warn
from container_executor.errors import Problem, SpecError
from container_executor.funcspec import FunctionSpec, parse_text

STDIN = "-"
_STEP = re.compile(r"\[(\d+)\]|([^.\[\]]+)")

spec_arguments = click.argument("specs", metavar="SPEC...", nargs=-1, required=True)
set_option = click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="PATH=VALUE",
    help="Change the spec, as conditions.mem=2Gi or kwargs.args[0]=hi.",
)


def read_specs(files: Sequence[str], changes: Sequence[str]) -> list[FunctionSpec]:
    """Return the specs in *files*, ``-`` for the standard input, each changed by *changes*. Warnings are printed.

    Raises:
        SpecError: One is no function spec; its problems name the file.
        click.UsageError: A file cannot be read, or a change is none.
    """
    return [_read(file, changes) for file in files]


def change(document: Any, path: str, value: str) -> None:
    """Set *path* in a JSON document to *value*: JSON where it is JSON, else the text itself. Missing objects and lists are made.

    Args:
        document: A JSON object or list, changed in place.
        path: Keys and indices, ``conditions.mem``, ``kwargs.args[0]`` or ``kwargs.args.0``; an index one past the end appends.
        value: The new value.

    Raises:
        ValueError: The path leads nowhere; the message says where it ends.
    """
    steps = _steps(path)
    holder = document
    for (step, _), (_, in_list) in pairwise(steps):
        holder = _enter(holder, step, new=[] if in_list else {})
    _place(holder, steps[-1][0], _value(value))


def _read(file: str, changes: Sequence[str]) -> FunctionSpec:
    name = "standard input" if file == STDIN else file
    text = _text(file)
    try:
        parsed = parse_text(_changed(text, changes) if changes else text, name)
    except SpecError as error:
        raise SpecError([_named(problem, name) for problem in error.problems]) from None
    for warning in parsed.warnings:
        warn(str(_named(warning, name)))
    return parsed.spec


def _named(problem: Problem, name: str) -> Problem:
    if problem.path.startswith(name):
        return problem
    return Problem(f"{name}: {problem.path}" if problem.path else name, problem.message)


def _text(file: str) -> bytes:
    if file == STDIN:
        return sys.stdin.buffer.read()
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise click.UsageError(f"{file}: cannot be read: {error.strerror}") from None


def _changed(text: bytes, changes: Sequence[str]) -> bytes:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return text  # whoever reads it next says what is wrong with it, and where
    for item in changes:
        path, found, value = item.partition("=")
        if not found:
            raise click.UsageError(f"--set {item}: write it as PATH=VALUE, such as conditions.mem=2Gi")
        try:
            change(document, path.strip(), value)
        except ValueError as error:
            raise click.UsageError(f"--set {item}: {error}") from None
    return json.dumps(document).encode()


def _steps(path: str) -> list[tuple[str, bool]]:
    """Return the keys and indices of a path, each with whether it is written as an index, ``[0]``."""
    steps = [(index or key, bool(index)) for index, key in _STEP.findall(path)]
    if not steps or _STEP.sub("", path).strip("."):
        raise ValueError(f"{path!r} is no path; write keys with dots between them")
    return steps


def _enter(holder: Any, step: str, *, new: Any) -> Any:
    if isinstance(holder, dict):
        if holder.get(step) is None:
            holder[step] = new
        return holder[step]
    if isinstance(holder, list):
        index = _index(holder, step)
        holder[index:] = holder[index:] or [new]
        return holder[index]
    raise ValueError(f"{step} would be a part of a {_kind(holder)}, which has none")


def _place(holder: Any, step: str, value: Any) -> None:
    if isinstance(holder, dict):
        holder[step] = value
    elif isinstance(holder, list):
        index = _index(holder, step)
        holder[index : index + 1] = [value]
    else:
        raise ValueError(f"{step} would be a part of a {_kind(holder)}, which has none")  # noqa: TRY004 - the user's value


def _index(holder: list[Any], step: str) -> int:
    most = len(holder)
    if not step.isdecimal() or len(step) > 9 or int(step) > most:
        raise ValueError(f"the list has {most} items; expected an index from 0 to {most}, not {step}")
    return int(step)


def _kind(value: Any) -> str:
    return {str: "text", bool: "truth value", int: "number", float: "number"}.get(type(value), "null")


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
