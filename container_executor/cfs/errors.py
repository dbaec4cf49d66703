"""What can go wrong between a directory, the records of a label, and the object store.

::

    CfsError
    ├── StoreError                 the object store
    │   ├── StoreUnavailableError  no answer, or an error of its own; the same may work later
    │   ├── StoreDeniedError       it refused us
    │   └── ObjectMissingError     it does not have the content that a record names
    ├── ContentError               content that is not what its record says
    ├── ChangingError              a file that was written to while it was read
    ├── UnrecordedError            stored content that the server took no record of
    ├── PathError                  a path or a name that cannot be used safely
    ├── DiskError                  a directory of this site cannot be read or written; ``failure`` says whether it is full
    ├── StoppedError               it was told to stop
    └── SyncError                  several of these in one run, all named
"""

from collections.abc import Sequence

from container_executor.errors import ContainerExecutorError

_SHOWN = 10


class CfsError(ContainerExecutorError):
    """Base of the errors of synchronising files.

    Attributes:
        failure: Name of the failure class that the error proves, as in :class:`container_executor.models.FailureClass`, or "".
        one_file: It is about one file; others may still be moved.
    """

    failure = ""
    one_file = False


class StoreError(CfsError):
    """The object store did not do what was asked."""


class StoreUnavailableError(StoreError):
    """The store did not answer, or failed. The same may work later."""


class StoreDeniedError(StoreError):
    """The store refused us."""


class ObjectMissingError(StoreError):
    """The store does not have the object."""


class BucketMissingError(ObjectMissingError):
    """The store does not have the bucket."""


LOST = "its content was lost when the machine went down"


class ContentError(CfsError):
    """Content that is not what its record says."""

    one_file = True


class ChangingError(CfsError):
    """A file that was written to while it was read."""

    one_file = True


class PathError(CfsError):
    """A path or a name that cannot be used safely."""

    one_file = True


class UnrecordedError(CfsError):
    """Content that was stored, but that the server took no record of."""

    one_file = True


class DiskError(CfsError):
    """A directory of this site cannot be read or written."""

    def __init__(self, message: str, *, full: bool = False) -> None:
        super().__init__(message)
        self.failure = "disk_full" if full else ""


class StoppedError(CfsError):
    """We were told to stop."""


class SyncError(CfsError):
    """What could not be synchronised, all of it; everything else was.

    Attributes:
        errors: At least one.
    """

    def __init__(self, errors: Sequence[CfsError]) -> None:
        self.errors = tuple(errors)
        self.failure = next((error.failure for error in errors if error.failure), "")
        shown = "; ".join(str(error) for error in self.errors[:_SHOWN])
        more = len(self.errors) - _SHOWN
        super().__init__(shown + (f"; and {more} more" if more > 0 else ""))
