"""What can go wrong on the way to a server, as errors that name it. Each way there knows its own exceptions."""

from yarl import URL

from container_executor.client.errors import NoAnswerError, ProtocolError


def untrusted(url: URL, why: object) -> ProtocolError:
    """The certificate is not trusted."""
    return ProtocolError(f"the server at {url} has a certificate that is not trusted: {why}")


def no_tls(url: URL, why: object) -> ProtocolError:
    """TLS failed."""
    return ProtocolError(f"the server at {url} does not speak TLS as expected ({why}); does it want http://?")


def late(url: URL) -> NoAnswerError:
    """The time was over."""
    return NoAnswerError(f"the server at {url} did not answer in time")


def silent(url: URL, error: Exception) -> NoAnswerError:
    """There was no connection, or it ended."""
    return NoAnswerError(f"the server at {url} does not answer: {error or type(error).__name__}")


def strange(url: URL, error: Exception) -> ProtocolError:
    """What answered is no HTTP."""
    return ProtocolError(f"the server at {url} does not answer as a Colonies server does: {error}")


def too_large(limit: int) -> ProtocolError:
    """The answer has more bytes than are taken."""
    return ProtocolError(f"the server's answer is larger than {limit} bytes")
