"""What became of a process, as the server has it: its outcome attribute, its errors, the exit code it stands for."""

import json
from typing import Any

import attrs

from container_executor.cli.exit_codes import ExitCode, of_failure
from container_executor.cli.output import plain
from container_executor.client import Process, ProcessState
from container_executor.models import FailureClass

_LEASE_WORDS = "execution time limit"  # "Maximum execution time limit exceeded", the server's own reason


@attrs.frozen
class Ended:
    """How a process ended.

    Attributes:
        exit_code: What a command that follows it ends with.
        failure: The failure's class in words; "" for success and where nobody said.
        message: One sentence; "" for success.
    """

    exit_code: int
    failure: str = ""
    message: str = ""


def outcome_of(process: Process) -> dict[str, Any]:
    """Return the executor's own account of the latest attempt, or {} where there is none.

    Attributes are written once, so a later attempt whose outcome differs is under ``outcome.<attempt>``.
    """
    values = {attribute.key: attribute.value for attribute in process.attributes}
    text = values.get(f"outcome.{process.attempt}") or values.get("outcome") or "{}"
    try:
        outcome = json.loads(text)
    except ValueError:
        return {}
    return outcome if isinstance(outcome, dict) else {}


def describe(process: Process) -> dict[str, Any]:
    """Return a process as JSON values: all that the server has, the state in words, the outcome read."""
    described: dict[str, Any] = plain(process)
    return {**described, "state": process.state.name.lower(), "outcome": outcome_of(process) or None}


def ended(process: Process) -> Ended:
    """Return how a process ended; one that runs has not, and ends nothing: exit code 0."""
    if process.state is ProcessState.CANCELLED:
        return Ended(ExitCode.CANCELLED, FailureClass.CANCELLED, "the process was cancelled")
    if process.state is not ProcessState.FAILED:
        return Ended(ExitCode.OK)
    outcome = outcome_of(process)
    failure = _failure(outcome.get("failure"))
    code = outcome.get("exit_code")
    message = "\n".join(process.errors) or str(outcome.get("message", "")) or "the process failed; nobody said why"
    if failure is None and _LEASE_WORDS in message:
        failure = FailureClass.LEASE_EXPIRED
    return Ended(of_failure(failure, code if isinstance(code, int) else None), failure or "", message)


def _failure(word: object) -> FailureClass | None:
    try:
        return FailureClass(str(word))
    except ValueError:
        return None
