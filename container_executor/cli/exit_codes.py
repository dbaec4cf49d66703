"""The exit codes of the command line.

``submit --follow`` and ``run SPEC`` end with the exit code of the job: that of the rank that failed first, 128 + n for signal n.
Everything else has a code of its own from the range that sysexits(3) set aside, which programs rarely use; the message on the
standard error says which it was.
"""

import enum

from container_executor.cfs.errors import CfsError, ObjectMissingError, StoreDeniedError, StoreUnavailableError
from container_executor.cli.connection import UnknownIdError
from container_executor.client import DeniedError, NoAnswerError, NotFoundError
from container_executor.errors import BackendError, ContainerExecutorError, ServerError, SettingsError, SpecError
from container_executor.models import FailureClass


class ExitCode(enum.IntEnum):
    """What the command line ends with when it does not pass on a job's own exit code."""

    OK = 0
    USAGE = 64  # the command line itself is wrong
    SPEC = 65  # a function spec is wrong, or cannot run at that site
    NOT_FOUND = 66  # no such process, file or snapshot
    UNAVAILABLE = 69  # the server or the engine does not answer
    FAULT = 70  # a fault of this program
    INFRASTRUCTURE = 71  # the job failed, and no exit code of its program says why
    CANCELLED = 72  # the process was cancelled
    TRANSFER = 74  # files could not be brought from one side to the other
    LEASE_LOST = 75  # the process did not end within maxexectime, or was given to another executor
    REFUSED = 76  # the server refused
    DENIED = 77  # the server refused for want of permission
    CONFIG = 78  # the configuration is wrong, or `doctor` found a fault
    INTERRUPTED = 130  # Ctrl-C
    BROKEN_PIPE = 141  # whoever read our output has gone


_BY_ERROR: tuple[tuple[type[ContainerExecutorError], ExitCode], ...] = (
    (SpecError, ExitCode.SPEC),
    (SettingsError, ExitCode.CONFIG),
    (UnknownIdError, ExitCode.NOT_FOUND),
    (NotFoundError, ExitCode.NOT_FOUND),
    (DeniedError, ExitCode.DENIED),
    (NoAnswerError, ExitCode.UNAVAILABLE),
    (ServerError, ExitCode.REFUSED),
    (BackendError, ExitCode.UNAVAILABLE),
    (StoreUnavailableError, ExitCode.UNAVAILABLE),
    (StoreDeniedError, ExitCode.DENIED),
    (ObjectMissingError, ExitCode.NOT_FOUND),
    (CfsError, ExitCode.TRANSFER),
)

_BY_FAILURE = {
    FailureClass.CANCELLED: ExitCode.CANCELLED,
    FailureClass.LEASE_EXPIRED: ExitCode.LEASE_LOST,
    FailureClass.INVALID_SPEC: ExitCode.SPEC,
}

_BY_PROGRAM = frozenset({FailureClass.USER_EXIT, FailureClass.OOM, FailureClass.WALLTIME})
"""Failures whose exit code is that of the user's program."""


def of_error(error: ContainerExecutorError) -> ExitCode:
    """Return the exit code that an error ends a command with."""
    return next((code for kind, code in _BY_ERROR if isinstance(error, kind)), ExitCode.FAULT)


def of_failure(failure: FailureClass | None, exit_code: int | None) -> int:
    """Return the exit code that a failed process ends a command with: its program's own where that is what failed."""
    if failure in _BY_PROGRAM and exit_code:
        return exit_code
    return _BY_FAILURE.get(failure or FailureClass.UNKNOWN, ExitCode.INFRASTRUCTURE)
