"""What can go wrong on the way to a server, as errors that name it. Each way there knows its own exceptions."""

from container_executor.client.address import Address
from container_executor.client.errors import NoAnswerError, ProtocolError


def untrusted(address: Address, why: object) -> ProtocolError:
    """The certificate is not trusted."""
    return ProtocolError(f"the server at {address} has a certificate that is not trusted: {why}")


def no_tls(address: Address, why: object) -> ProtocolError:
    """TLS failed."""
    return ProtocolError(f"the server at {address} does not speak TLS as expected ({why}); does it want http://?")


def late(address: Address) -> NoAnswerError:
    """The time was over."""
    return NoAnswerError(f"the server at {address} did not answer in time")


def silent(address: Address, error: Exception) -> NoAnswerError:
    """There was no connection, or it ended."""
    return NoAnswerError(f"the server at {address} does not answer: {error or type(error).__name__}")


def strange(address: Address, error: Exception) -> ProtocolError:
    """What answered is no HTTP."""
    return ProtocolError(f"the server at {address} does not answer as a Colonies server does: {error}")


def too_large(limit: int) -> ProtocolError:
    """The answer has more bytes than are taken."""
    return ProtocolError(f"the server's answer is larger than {limit} bytes")
