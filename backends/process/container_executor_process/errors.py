"""What the operating system refuses, as the errors of this program."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from subprocess import SubprocessError

from container_executor.errors import RejectedError, UnavailableError
from container_executor.models import FailureClass

FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Raise the errors of the operating system as those of a backend; *doing* says what was being done.

    Raises:
        RejectedError: The disk is full, or the directory may not be written.
        UnavailableError: Anything else that the operating system refused.
    """
    try:
        yield
    except OSError as error:
        words = f"{doing}: {error.filename or 'this host'}: {error.strerror or error}"
        if error.errno in FULL:
            raise RejectedError(f"{words}; free some space", failure=FailureClass.DISK_FULL) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise RejectedError(f"{words}; let this user write there") from error
        raise UnavailableError(words) from error
    except SubprocessError as error:
        raise UnavailableError(f"{doing}: {error}") from error
