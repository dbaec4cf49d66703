"""From a spec to a job: what exactly every rank runs.

A ``cmd`` of one plain word is a program, and ``args`` are its arguments, one each; no shell sees them. Any other ``cmd`` is a
line for ``sh``, in which the args are ``$1``, ``$2`` and so on. To a line that plainly is one command, ``"$@"`` is appended, so
that ``python3 -u`` with args works as one expects. Where that is not plain, args that the line does not refer to are refused
rather than lost or glued to the wrong command.

``init-cmd`` runs first in the same shell, so that ``cd`` and ``export`` carry over; if it fails, so does the job, with its code.
"""

import json
import re
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import attrs

from container_executor.errors import Problem, SpecError
from container_executor.funcspec.model import Filesystem, FunctionSpec
from container_executor.models import JobSpec, Mark, Mount

PLACEHOLDER = "{processid}"

_NO_PLAIN_WORD = re.compile(r"[\s|&;<>()$`\\\"'*?\[\]#~=%!{}]")
_REFERS_TO_ARGS = re.compile(r"\$\{?[@*1-9]")
_READS_ARGS = re.compile(r"\$#|\$\{#\}|\bshift\b|\bgetopts\b|\bfor\s+\w+\s*(?:;|\n|do\b)")
_NOT_EXTENSIBLE = re.compile(r"\n|#|<<|[;&})\\]\Z|(?:\A|[\s;])(?:done|fi|esac)\Z")
_QUOTED_OR_ESCAPED = re.compile(r"""'[^']*'|\\.|("(?:[^"\\]|\\.)*")""", re.DOTALL)

# A shell that waits for a child runs the trap when the child has ended: its checkpoint is complete before the shell exits.
_ON_TERM = "trap 'exit 143' TERM\n"
_AFTER_INIT = "\nce=$?; [ $ce -eq 0 ] || exit $ce\n"

SCRIPT_BYTES = len(_ON_TERM + _AFTER_INIT + ' "$@"')
"""Bytes that are added to cmd and init-cmd at most."""


def make_job(
    spec: FunctionSpec,
    mark: Mark,
    *,
    grace: timedelta = timedelta(seconds=10),
    input: Sequence[Any] = (),  # noqa: A002 - the name of the field it becomes
    mounts: Sequence[Mount] = (),
) -> JobSpec:
    """Return the job that *spec* asks for, as one launch of the process that *mark* names.

    Args:
        spec: A spec of ``execute``. ``{processid}`` is replaced here, if it is not yet.
        mark: Identity of the launch.
        grace: Time between TERM and KILL.
        input: The outputs of the parents in a workflow, any JSON.
        mounts: Directories that the job sees, parents before children.

    Raises:
        SpecError: No program can be made of cmd, args and init-cmd.
    """
    spec = substitute(spec, mark.process_id)
    conditions = spec.conditions
    return JobSpec(
        mark=mark,
        image=spec.image,
        argv=make_argv(spec.cmd, spec.args, spec.init_cmd),
        env=dict(spec.env),
        nodes=conditions.nodes,
        processes_per_node=conditions.processes_per_node,
        cpu=conditions.cpu,
        memory=conditions.memory,
        gpus=conditions.gpu.count,
        gpu_name=conditions.gpu.name,
        walltime=spec.walltime,
        grace=grace,
        mounts=tuple(mounts),
        input=json.dumps(list(input)) if input else "",
        pull=spec.rebuild_image,
    )


def substitute(spec: FunctionSpec, process_id: str) -> FunctionSpec:
    """Return the spec with ``{processid}`` replaced in cmd, args, init-cmd, env values, labels, dirs and mount."""

    def filled(text: str) -> str:
        return text.replace(PLACEHOLDER, process_id)

    return attrs.evolve(
        spec,
        cmd=filled(spec.cmd),
        args=tuple(map(filled, spec.args)),
        init_cmd=filled(spec.init_cmd),
        env={name: filled(value) for name, value in spec.env.items()},
        fs=_filled_filesystem(spec.fs, filled) if spec.fs else None,
    )


def _filled_filesystem(fs: Filesystem, filled: Callable[[str], str]) -> Filesystem:
    return Filesystem(
        mount=filled(fs.mount),
        dirs=tuple(attrs.evolve(entry, label=filled(entry.label), dir=filled(entry.dir)) for entry in fs.dirs),
        snapshots=tuple(
            attrs.evolve(entry, label=filled(entry.label), dir=filled(entry.dir)) for entry in fs.snapshots
        ),
    )


def make_argv(cmd: str, args: Sequence[str], init_cmd: str = "") -> tuple[str, ...]:
    """Return program and arguments of a rank. ``{processid}`` has been replaced in all of them.

    Raises:
        SpecError: There is no cmd, or it is a shell line that does not refer to the args and cannot plainly be extended.
    """
    given = () if tuple(args) == ("",) else tuple(args)
    if not cmd.strip():
        raise SpecError(Problem("kwargs.cmd", "missing; expected a program or a shell line"))
    before = init_cmd + _AFTER_INIT if init_cmd.strip() else ""
    if not is_program(cmd):
        return _shell(before + _line(cmd, given), given)
    command = (cmd.strip(), *given)
    return _shell(before + 'exec "$@"', command) if before else command


def is_program(cmd: str) -> bool:
    """Return True for one word that means the same to a shell and to the kernel; False for a shell line."""
    return not _NO_PLAIN_WORD.search(cmd.strip())


def _line(cmd: str, args: Sequence[str]) -> str:
    if not args:
        return cmd
    mentioned = _REFERS_TO_ARGS.search(cmd)
    if not mentioned and not _NOT_EXTENSIBLE.search(cmd.strip()):
        return f'{cmd.strip()} "$@"'
    code = _unquoted(cmd)
    if (mentioned and _REFERS_TO_ARGS.search(code)) or _READS_ARGS.search(code):
        return cmd
    raise SpecError(Problem("kwargs.args", 'nothing in cmd refers to them; put "$@" into cmd where they belong'))


def _unquoted(cmd: str) -> str:
    """Return what the shell itself expands: ``$1`` in ``awk '{print $1}'`` is awk's. Quotes mean less in here-documents."""
    return cmd if "<<" in cmd or "#" in cmd else _QUOTED_OR_ESCAPED.sub(lambda match: match[1] or "", cmd)


def _shell(script: str, args: Sequence[str]) -> tuple[str, ...]:
    return ("sh", "-c", _ON_TERM + script, "sh", *args)
