"""How a process ends for us: its outcome, who stopped it, and whether it is ours to close. Pure."""

import attrs

from container_executor.client import Process
from container_executor.errors import BackendError, SpecError
from container_executor.execute.decide import Why
from container_executor.execute.journal import JournalError
from container_executor.execute.lease import attempts_left
from container_executor.execute.outcome import Outcome, class_of, failed, stopped_early
from container_executor.execute.staging.errors import StagingError
from container_executor.models import FailureClass


class InterruptedLifeError(Exception):
    """A step before the launch was cut short; :attr:`why` says by what."""

    def __init__(self, why: Why) -> None:
        super().__init__(why.value)
        self.why = why


class NoRoomError(Exception):
    """The job does not fit into the site, now or ever."""


@attrs.frozen
class End:
    """The end of one attempt.

    Attributes:
        outcome: What became of it.
        stopped: Why we stopped it, None where we did not.
    """

    outcome: Outcome
    stopped: Why | None = None

    def leaves_open(self, process: Process) -> bool:
        """Return whether the process is not closed: it is not ours to close, or the server gives it away once more."""
        if self.outcome.succeeded or self.stopped is None:
            return False
        maxretries = int(process.spec.get("maxretries") or 0)
        again = self.stopped is Why.LEASE and attempts_left(attempt=process.attempt, maxretries=maxretries)
        return again or self.stopped in (Why.LOST, Why.CANCELLED)


def end_of(error: Exception) -> End | None:
    """Return the end that an error means, None for a fault of this program."""
    match error:
        case InterruptedLifeError():
            return End(stopped_early(error.why), error.why)
        case SpecError():
            return End(failed(FailureClass.INVALID_SPEC, str(error)))
        case NoRoomError():
            return End(failed(FailureClass.UNSCHEDULABLE, str(error)))
        case BackendError():
            return End(failed(class_of(error), str(error)))
        case JournalError():
            return End(failed(FailureClass.DISK_FULL, str(error)))
        case StagingError():
            return End(failed(error.failure, str(error)))
    return None
