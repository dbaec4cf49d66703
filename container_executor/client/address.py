"""The address of a server, and what every request to it says of itself."""

import re
from urllib.parse import urlsplit

import attrs

from container_executor.errors import SettingsError

_PLAIN = re.compile(r"[!-~]+")
"""What can stand in a request as it is."""
HEADERS = {"Content-Type": "application/json", "Accept-Encoding": "identity", "User-Agent": "container-executor"}


@attrs.frozen
class Address:
    """The address of a server.

    Attributes:
        origin: ``http://host:port``, with https and without a port as it was given.
        path: What stands before ``/api``; "" for most.
    """

    origin: str
    path: str = ""

    def __str__(self) -> str:
        return self.origin + self.path

    def target(self, name: str) -> str:
        """Return what a request asks for."""
        return f"{self.path}/{name}"

    def at(self, name: str) -> str:
        """Return the address of one of the server's services."""
        return self.origin + self.target(name)


def server_address(text: str) -> Address:
    """Parse the address of a server: ``http`` or ``https``, a host, perhaps a port and a path before ``/api``.

    Raises:
        SettingsError: It is no such address; the message says what was expected.
    """
    if any(mark in text for mark in "@?#"):  # there may be a secret in it, so it is not shown
        raise SettingsError(
            "the server's address must have no user, password, query or fragment; write http://host:port"
        )
    refused = SettingsError(f"{text!r} is no address of a Colonies server; write http://host:port or https://host/path")
    try:
        url = urlsplit(text)
        usable = url.scheme in ("http", "https") and url.hostname and url.port != 0 and _PLAIN.fullmatch(text)
    except ValueError:
        raise refused from None
    if not usable:
        raise refused
    return Address(f"{url.scheme}://{url.netloc}", url.path.rstrip("/"))
