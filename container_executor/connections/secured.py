"""A connection with TLS, which may have to read in order to write, and has bytes that have come but are not for us."""

import select
import ssl

from container_executor.connections.connection import Connection


class Secured(Connection):
    """A connection with TLS."""

    _blocked = (ssl.SSLWantReadError, ssl.SSLWantWriteError)

    def _before_receiving(self, end: float) -> None:
        """Wait for nothing: what comes next may have been read and decrypted already."""

    def _awaited(self, error: OSError, usual: select.poll) -> select.poll:  # noqa: ARG002 - the error tells
        return self._arrives if isinstance(error, ssl.SSLWantReadError) else self._takes
