"""A network before a server that resets connections, and that can fall silent."""

import itertools
import select
import socket
import sys
import threading
import time
from contextlib import suppress


class Resetting:
    """Passes connections on to a server and resets each time after so many pieces of answers, in the middle of one.

    Attributes:
        every: After how many.
        resets: How often it has done so.
        answered: Bytes of answers that it has passed on.
        most: It passes no more than so many on, and then keeps silent.
        port: Where it listens.
    """

    def __init__(self, host: str, port: int, every: int) -> None:
        self._target, self.every = (host, port), every
        self.answered, self.most = 0, sys.maxsize
        self._count = itertools.count(1)
        self.resets = 0
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                inner, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._pass, args=(inner,), daemon=True).start()

    def _pass(self, inner: socket.socket) -> None:
        # A program that is killed resets its connections too.
        with suppress(ConnectionError), inner, socket.create_connection(self._target) as outer:
            while ready := select.select([inner, outer], [], [], 30)[0]:
                for side in ready:
                    data = side.recv(65_536)
                    if not data:
                        return
                    if side is outer and next(self._count) % self.every == 0:
                        self.resets += 1
                        # A linger of zero makes the close a reset (socket(7), SO_LINGER).
                        inner.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                        return
                    if side is outer:
                        self.answered += len(data)
                        while self.answered > self.most:
                            time.sleep(0.01)
                    (inner if side is outer else outer).sendall(data)

    def close(self) -> None:
        """Listen no more."""
        self._listening.close()
