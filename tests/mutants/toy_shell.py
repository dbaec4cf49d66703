"""A toy shell in memory: enough of the suite's shell lines for the scripted backend, and a skip for every other line."""

import re
import shlex
import string
import time
from collections.abc import Generator

import pytest

from container_executor.models import FailureClass
from container_executor.testing import Exit, Program, Rank, Terminated
from container_executor.testing.programs import Step

_LOOP = re.compile(r"while :; do (?P<body>.*?); done")
_TRAP = re.compile(r"trap '(?P<action>[^']*)' TERM\s*;?\s*")
_TOO_MUCH = "dd if=/dev/zero of=/dev/null bs=300000000 count=1"
_FITS = "head -c 9000000 /dev/zero | tail -c 9000000 | wc -c"
_KNOWN = {"echo", "printf", "exit", "sleep", "true", "seq", "if", "["}


def program(rank: Rank) -> Program:
    """Run the job's shell line."""
    argv = rank.job.argv
    if argv[:2] != ("sh", "-c") or ">&2" in argv[2] or "<%s>" in argv[2]:
        pytest.skip(f"the toy shell runs no program such as {argv}")
    line, trap = argv[2], "exit 143"
    while found := _TRAP.match(line):
        line, trap = line[found.end() :], found["action"]
    if line == _TOO_MUCH:
        return Exit(137, FailureClass.OOM, "the engine's limit struck")
    line = line.replace(f"({_TOO_MUCH}); ", "").replace(_FITS, "echo 9000000")
    done = False
    while not done:
        try:
            return (yield from _run(line, rank))
        except Terminated:
            done = bool(trap)
    return (yield from _run(trap, rank))


def _run(line: str, rank: Rank) -> Generator[Step, None, int]:
    if loop := _LOOP.fullmatch(line):
        while True:
            yield from _run(loop["body"], rank)
    line = _decided(line, rank)
    for command in line.split("; "):
        words = shlex.split(string.Template(command).safe_substitute(rank.env))
        if not words or words[0] not in _KNOWN or "$" in command.replace("$RANK", "") or "|" in command:
            _give_up(line, rank)
        if words[0] == "exit":
            return int(words[1])
        yield from _simple(words)
    return 0


def _decided(line: str, rank: Rank) -> str:
    """Resolve the two conditions on ``$RANK`` that the suite uses."""
    if found := re.fullmatch(r"if \[ \$RANK = 1 \]; then (.*?); fi; (.*)", line):
        return found[1] if rank.number == 1 else found[2]
    if found := re.fullmatch(r"\[ \$RANK = 0 \] \|\| (.*)", line):
        return "true" if rank.number == 0 else found[1]
    return line


def _simple(words: list[str]) -> Generator[Step, None, None]:
    name, *args = words
    if name == "echo":
        yield (" ".join(args) + "\n").encode()
    elif name == "printf":
        yield args[0].encode("latin-1").decode("unicode_escape").replace("%%", "%").encode("latin-1")
    elif name == "seq":
        yield b"".join(b"%d\n" % number for number in range(int(args[0]), int(args[1]) + 1))
    elif name == "sleep":
        end = time.monotonic() + float(args[0])
        while time.monotonic() < end:
            yield None


def _give_up(line: str, rank: Rank) -> None:
    pytest.skip(f"the toy shell cannot read {line!r}")
