"""What goes wrong with the directories of a process, as the class of its failure."""

from container_executor.errors import ContainerExecutorError
from container_executor.models import FailureClass


class StagingError(ContainerExecutorError):
    """The directories of a process could not be brought in or out.

    Attributes:
        failure: What class of failure that is.
    """

    def __init__(self, message: str, failure: FailureClass) -> None:
        super().__init__(message)
        self.failure = failure

    @classmethod
    def of(cls, error: Exception, failure: FailureClass) -> "StagingError":
        """Return the error that stands for another; a full disk is a class of its own."""
        proved = getattr(error, "failure", "")
        return cls(str(error), FailureClass(proved) if proved else failure)
