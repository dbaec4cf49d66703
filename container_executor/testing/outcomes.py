"""The outcome table: what every backend must make of how a program ends."""

import json
from importlib import resources
from typing import Any

import attrs

from container_executor.models import FailureClass, JobState, JobStatus


@attrs.frozen
class Outcome:
    """How a job ended: its state, the exit code (128 + n for signal n), and the class of its failure, if it failed.

    The signal is no part of it: not every engine can tell ``exit 137`` from KILL, so nobody may.
    """

    state: JobState
    exit_code: int | None
    failure: FailureClass | None


@attrs.frozen
class Row:
    """A row of the table: a program and the outcome that it must have."""

    name: str
    argv: tuple[str, ...]
    outcome: Outcome


def outcome_table() -> tuple[Row, ...]:
    """Return the rows of ``outcomes.json``."""
    text = resources.files("container_executor.testing").joinpath("outcomes.json").read_text(encoding="utf-8")
    return tuple(_row(fields) for fields in json.loads(text))


def _row(fields: dict[str, Any]) -> Row:
    failure = FailureClass(fields["class"]) if fields["class"] else None
    return Row(fields["name"], tuple(fields["argv"]), Outcome(JobState(fields["state"]), fields["exit_code"], failure))


def outcome(status: JobStatus) -> Outcome:
    """Return what a status proves: the class is the engine's own where it gave one, else the user's exit."""
    worst = status.failed_rank or (status.ranks[0] if status.ranks else None)
    code = worst.exit_code if worst else None
    proven = (worst.failure if worst else None) or status.failure
    return Outcome(status.state, code, proven or (FailureClass.USER_EXIT if code else None))
