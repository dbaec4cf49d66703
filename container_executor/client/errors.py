"""What can go wrong between this client and a Colonies server.

::

    ServerError
    ├── NoAnswerError      no answer, or half of one; the call may or may not have been carried out
    ├── ProtocolError      an answer that cannot be trusted, or no Colonies server at that address
    ├── UnsendableError    a value that cannot be sent unchanged; nothing was sent
    └── RefusedError       the server said no
        ├── BadCallError       400
        ├── DeniedError        403
        ├── NotFoundError      404, and 500 where the text says so
        ├── PausedError        408, 503
        └── ServerFaultError   500
"""

import re

from container_executor.errors import ServerError

_UNKNOWN = re.compile(r" is nil$|not found")  # "Failed to close process as successful, process is nil"
_LONGEST = 2000  # characters of a server's text that are kept: it may echo what it was sent


class NoAnswerError(ServerError):
    """The server did not answer, or not to the end. Whether it carried the call out is not known."""


class ProtocolError(ServerError):
    """The answer cannot be trusted: too large, malformed, or about something else than was asked.

    Whether the server carried the call out is not known. The same call is likely to fail again.
    """


class EmptyAnswerError(ProtocolError):
    """A status and nothing else, where an answer must have a body."""


class UnsendableError(ServerError):
    """A value that JSON or the server would change or refuse. Nothing was sent."""


class RefusedError(ServerError):
    """The server answered no.

    Attributes:
        status: The HTTP status.
        text: The server's own words, at most 2000 characters. They change between versions of the server.
    """

    def __init__(self, status: int, text: str, *, call: str = "") -> None:
        self.status = status
        self.text = text[:_LONGEST]
        super().__init__(f"the server refused {call or 'the call'} ({status}): {self.text}")


class BadCallError(RefusedError):
    """400: bad values, a change of state that is not allowed, or an error of the server's database."""


class DeniedError(RefusedError):
    """403: not a member of the colony, not approved yet, not the process's executor, or the process is not running."""


class NotFoundError(RefusedError):
    """No such process, executor, file or snapshot; for an assign call with status 404: no work.

    The server answers 404 for some and 500 with "... is nil" or "... not found" for others; the status is kept.
    """


class PausedError(RefusedError):
    """408 or 503: the colony's assignments are paused."""


class ServerFaultError(RefusedError):
    """500: a broken workflow, or a fault inside the server."""


_BY_STATUS: dict[int, type[RefusedError]] = {
    400: BadCallError,
    403: DeniedError,
    404: NotFoundError,
    408: PausedError,
    500: ServerFaultError,
    503: PausedError,
}


def refusal(status: int, text: str, call: str) -> RefusedError:
    """Return the error that stands for an HTTP status; *call* is the message that was refused."""
    if status == 500 and _UNKNOWN.search(text):
        return NotFoundError(status, text, call=call)
    return _BY_STATUS.get(status, RefusedError)(status, text, call=call)
