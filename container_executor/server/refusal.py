"""The one way in which a call is answered with no."""


class Refused(Exception):  # noqa: N818 - a refusal is an answer, not an error of this program
    """A call that is not done, and has changed nothing.

    Attributes:
        status: The HTTP status of the answer; it stands in the answer's body too.
        message: What the caller is told.
    """

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        self.message = message
        super().__init__(message)
