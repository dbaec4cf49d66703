"""What systemd hears of the daemon, on the socket that it names in the environment (sd_notify(3))."""

import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import pytest
from colonies import Colony, DaemonProgram, wait_for
from daemon_fixtures import colony, daemon, make_daemon, portal

from container_executor.cli.service import Service

__all__ = ["colony", "daemon", "make_daemon", "portal"]


@attrs.define
class Systemd:
    """The socket on which systemd would listen."""

    channel: socket.socket
    address: str
    heard: list[str] = attrs.field(factory=list)

    def hears(self, line: str) -> bool:
        """Return whether a message with this line has come."""
        try:
            while True:
                self.heard.append(self.channel.recv(4096).decode())
        except BlockingIOError:
            return any(line in message.splitlines() for message in self.heard)


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Systemd]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        address = str(tmp_path / "notify")
        channel.bind(address)
        channel.setblocking(False)
        yield Systemd(channel, address)


def test_a_daemon_whose_server_is_away_has_started_all_the_same(
    systemd: Systemd, colony: Colony, make_daemon: Callable[..., DaemonProgram]
) -> None:
    daemon = make_daemon(port=9)
    daemon.start(NOTIFY_SOCKET=systemd.address)

    wait_for(lambda: systemd.hears("READY=1"), "its start")
    assert not systemd.hears("STATUS=running")


def test_systemd_hears_the_start_the_drain_and_the_end(
    systemd: Systemd, colony: Colony, daemon: DaemonProgram, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    daemon.start(NOTIFY_SOCKET=systemd.address, WATCHDOG_USEC="3000000")
    wait_for(lambda: systemd.hears("STATUS=running"), "its registration")
    wait_for(lambda: systemd.hears("WATCHDOG=1"), "a sign of life")
    process_id = colony.submit(f"env; until [ -e {go} ]; do sleep 0.1; done")
    wait_for(lambda: colony.output(process_id), "the job's variables")

    daemon.signal(signal.SIGTERM)
    status = "STATUS=draining: 1 processes live; once more stops their jobs"
    wait_for(lambda: systemd.hears(status), "the drain")
    assert not systemd.hears("STOPPING=1"), "systemd would kill a daemon that waits for its jobs"
    go.touch()

    assert daemon.wait() == 0
    assert systemd.hears("STOPPING=1")
    assert not [line for line in colony.output(process_id) if line.startswith(("NOTIFY_", "WATCHDOG_"))]


def test_nobody_is_told_where_nobody_listens(tmp_path: Path) -> None:
    Service().tell("running", READY="1")
    Service(str(tmp_path / "gone")).tell("running", READY="1")


def test_a_name_without_a_file_is_a_socket_too() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind("\0ce-test-" + str(os.getpid()))
        Service(f"@ce-test-{os.getpid()}").tell("two\nlines", READY="1")

        assert channel.recv(4096) == b"READY=1\nSTATUS=two lines"


def test_a_watchdog_of_another_program_is_not_ours() -> None:
    environ = {"NOTIFY_SOCKET": "/run/x", "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1", "PATH": "/bin"}

    assert Service.of(environ) == Service("/run/x", 0.0)
    assert environ == {"PATH": "/bin"}
