"""One connection: bytes out and in, each within its time.

The socket never blocks: what it takes at once needs one call of the operating system, where a socket with a time limit needs two.
"""

import mmap
import select
import socket
import time
from typing import ClassVar

from container_executor.connections.parsed import Parsed
from container_executor.connections.request import Request

CONNECT = 10.0
"""Seconds for a connection."""
SILENCE = 30.0
"""Seconds without a byte of an answer, or without a byte that is taken."""
MOST = 2**20
"""Bytes that are received at a time."""
IDLE = 60.0
"""Seconds after which a connection that nobody uses is not used again; the Go server closes those that were idle for 120."""


class Connection:
    """One connection.

    Attributes:
        since: When it was last used, in monotonic seconds.
        parsed: What has read answers over it and can read the next one.
    """

    _blocked: ClassVar[tuple[type[OSError], ...]] = (BlockingIOError,)

    def __init__(self, opened: socket.socket) -> None:
        """Take an open socket."""
        opened.setblocking(False)
        self._socket = opened
        self._buffer = memoryview(mmap.mmap(-1, MOST))  # what is never used of it takes no memory, unlike a bytearray's
        self._arrives, self._takes = select.poll(), select.poll()
        self._arrives.register(opened, select.POLLIN)
        self._takes.register(opened, select.POLLOUT)
        self.since = 0.0
        self.parsed: Parsed | None = None

    def usable(self) -> bool:
        """Return whether a request can go over it: the server has not ended it, nor has it been idle for long."""
        return time.monotonic() - self.since <= IDLE and not self._arrives.poll(0)

    def send(self, request: Request, host: str, end: float) -> bool:
        """Send a request; return False where the server wanted no more of it, whose answer tells why."""
        try:
            for piece in request.sent(host):
                self._send(memoryview(piece), end)
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    def _send(self, view: memoryview, end: float) -> None:
        while view:
            try:
                view = view[self._socket.send(view) :]
            except self._blocked as error:
                self._wait(self._awaited(error, self._takes), end)

    def receive(self, end: float, most: int = MOST) -> memoryview:
        """Return what comes next, at most so many bytes, valid until the next call; nothing where the server ended the connection."""
        self._before_receiving(end)
        while True:
            try:
                return self._buffer[: self._socket.recv_into(self._buffer, most)]
            except self._blocked as error:
                self._wait(self._awaited(error, self._arrives), end)

    def _before_receiving(self, end: float) -> None:
        self._wait(self._arrives, end)

    def _awaited(self, error: OSError, usual: select.poll) -> select.poll:  # noqa: ARG002 - only TLS may have to wait for the other
        return usual

    def _wait(self, poll: select.poll, end: float) -> None:
        if not poll.poll(1000 * time_left(end, SILENCE)):
            raise TimeoutError("nothing moved for too long")

    def close(self) -> None:
        """Close it."""
        self._socket.close()


def time_left(end: float, most: float) -> float:
    """Return the seconds that are left, at most so many."""
    left = min(most, end - time.monotonic())
    if left <= 0:
        raise TimeoutError("the time is over")
    return left
