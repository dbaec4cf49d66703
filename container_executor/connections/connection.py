"""One connection: bytes out and in, each within its time."""

import select
import socket
import time

from container_executor.connections.request import PIECE, Request

CONNECT = 10.0
"""Seconds for a connection."""
SILENCE = 30.0
"""Seconds without a byte of an answer, or without a piece that is taken."""
IDLE = 60.0
"""Seconds after which a connection that nobody uses is not used again; the Go server closes those that were idle for 120."""


class Connection:
    """One connection.

    Attributes:
        since: When it was last used, in monotonic seconds.
    """

    def __init__(self, opened: socket.socket) -> None:
        """Take an open socket."""
        self._socket = opened
        self._buffer = memoryview(bytearray(PIECE))
        self.since = 0.0

    def usable(self) -> bool:
        """Return whether a request can go over it: the server has not ended it, nor has it been idle for long."""
        if time.monotonic() - self.since > IDLE:
            return False
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return not poll.poll(0)

    def send(self, request: Request, host: str, end: float) -> bool:
        """Send a request; return False where the server wanted no more of it, whose answer tells why."""
        try:
            for piece in request.sent(host):
                self._socket.settimeout(time_left(end, SILENCE))
                self._socket.sendall(piece)
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    def receive(self, end: float) -> memoryview:
        """Return what comes next, valid until the next call; nothing where the server ended the connection."""
        self._socket.settimeout(time_left(end, SILENCE))
        return self._buffer[: self._socket.recv_into(self._buffer)]

    def close(self) -> None:
        """Close it."""
        self._socket.close()


def time_left(end: float, most: float) -> float:
    """Return the seconds that are left, at most so many."""
    left = min(most, end - time.monotonic())
    if left <= 0:
        raise TimeoutError("the time is over")
    return left
