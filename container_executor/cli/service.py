"""What systemd is told about the daemon, where it is systemd that started it (sd_notify(3)); nothing else listens."""

import contextlib
import os
import socket
from collections.abc import MutableMapping
from typing import Self

import attrs


@attrs.frozen
class Service:
    """The service that this program is.

    Attributes:
        address: The socket on which systemd listens, "" where it does not; the first ``@`` stands for a name without a file.
        watchdog: Seconds within which systemd wants to hear that the program goes on, 0 for never.
    """

    address: str = ""
    watchdog: float = 0.0

    @classmethod
    def of(cls, environ: MutableMapping[str, str]) -> Self:
        """Return what the environment says, and take it out: programs that this one starts are not the service."""
        address = environ.pop("NOTIFY_SOCKET", "")
        microseconds, pid = environ.pop("WATCHDOG_USEC", "0"), environ.pop("WATCHDOG_PID", "")
        mine = pid in ("", str(os.getpid())) and microseconds.isdigit()
        return cls(address, int(microseconds) / 1e6 if mine else 0.0)

    def tell(self, status: str = "", **fields: str) -> None:
        """Tell systemd how it is: *status* is what ``systemctl status`` shows, *fields* are those of sd_notify(3)."""
        if status:
            fields["STATUS"] = " ".join(status.splitlines())
        lines = "\n".join(f"{name}={value}" for name, value in fields.items())
        if not self.address:
            return
        address = f"\0{self.address[1:]}" if self.address.startswith("@") else self.address
        with (
            contextlib.suppress(OSError),  # whoever listened has gone: the jobs matter more
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel,
        ):
            channel.setblocking(False)
            channel.sendto(lines.encode(), address)
