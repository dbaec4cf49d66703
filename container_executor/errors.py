"""Every error that crosses a border inside this program.

::

    ContainerExecutorError
    ├── SpecError                the user's: the same spec fails again
    │   └── UnsupportedError     legal, but this backend or site cannot do it
    ├── BackendError             the engine's
    │   ├── UnavailableError     no answer; the same call may work later
    │   └── RejectedError        the engine said no; the same call fails again
    ├── SettingsError            the site's configuration
    └── ServerError              the Colonies server's; see ``container_executor.client``

A :class:`BackendError` may carry the failure class that the engine's answer proves.
"""

from collections.abc import Sequence

import attrs


class ContainerExecutorError(Exception):
    """Base of all errors of this program; its text may be shown to a user as it is."""


@attrs.frozen
class Problem:
    """One thing wrong with an input, or with a site.

    Attributes:
        path: Where: a JSON path such as ``conditions.mem``, a file, or a setting.
        message: What is wrong, what was expected, and what to do.
    """

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class SpecError(ContainerExecutorError):
    """A function spec that cannot run, with every problem found in it.

    Attributes:
        problems: At least one, in the order of the spec.
    """

    def __init__(self, problems: Sequence[Problem] | Problem) -> None:
        self.problems = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__("; ".join(str(problem) for problem in self.problems))


class UnsupportedError(SpecError):
    """A legal spec that this backend, or this site, cannot run."""


class BackendError(ContainerExecutorError):
    """What an engine did not do.

    Attributes:
        failure: Name of the failure class that the engine's answer proves (a value of
            :class:`container_executor.models.FailureClass`), or "" where it proves none.
    """

    def __init__(self, message: str, *, failure: str = "") -> None:
        super().__init__(message)
        self.failure = failure


class UnavailableError(BackendError):
    """The engine did not answer, or asked to come back later. The same call may work then."""


class RejectedError(BackendError):
    """The engine answered no. The same call fails again."""


class SettingsError(ContainerExecutorError):
    """A configuration that cannot be used; the text names the file or variable, the key, and what was expected."""


class ServerError(ContainerExecutorError):
    """Base of the errors of talking to a Colonies server."""
