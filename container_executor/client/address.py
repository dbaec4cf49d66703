"""The address of a server, and what every request to it says of itself."""

from yarl import URL

from container_executor.errors import SettingsError

HEADERS = {"Content-Type": "application/json", "Accept-Encoding": "identity", "User-Agent": "container-executor"}


def server_url(text: str) -> URL:
    """Parse the address of a server: ``http`` or ``https``, a host, perhaps a port and a path before ``/api``.

    Raises:
        SettingsError: It is no such address; the message says what was expected.
    """
    try:
        url = URL(text)
    except ValueError:
        url = URL()
    if url.scheme not in ("http", "https") or not url.host:
        raise SettingsError(f"{text!r} is no address of a Colonies server; write http://host:port or https://host/path")
    if url.user or url.password or url.query or url.fragment:
        raise SettingsError(f"the server's address {url.host!r} must have no user, password, query or fragment")
    return url
