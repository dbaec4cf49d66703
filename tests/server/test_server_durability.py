"""An acknowledged call survives the sudden end of the server; one server at a time owns a database."""

import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from container_executor.errors import ServerError

if TYPE_CHECKING:
    from tests.server.conftest import Program, Running, Town

KILLS = 20
CALLS_PER_KILL = 60
WRITERS = 4


class Writer(threading.Thread):
    """Submits processes and writes log lines until it is stopped, and remembers what was acknowledged."""

    def __init__(
        self, town: "Town", processid: str, number: int, enough: threading.Event, stop: threading.Event
    ) -> None:
        super().__init__()
        self.town = town
        self.processid = processid
        self.number = number
        self.enough = enough
        self.stop = stop
        self.processes: list[str] = []
        self.lines: list[str] = []
        self.acknowledged = 0

    def run(self) -> None:
        count = 0
        while not self.stop.is_set():
            count += 1
            line = f"{self.number}-{count}\n"
            try:
                self.processes.append(self.town.submit({"executortype": f"nobody-{self.number}"}, label=line.strip()))
                self.town.call("e1", "addlogmsg", processid=self.processid, message=line)
            except (OSError, ValueError, EOFError):
                self.stop.wait(0.01)  # the server is down
            except Exception as error:  # http.client has errors of its own for a connection that ends
                if "http" not in type(error).__module__:
                    raise
            else:
                self.lines.append(line)
                self.acknowledged += 2
                if self.acknowledged % CALLS_PER_KILL == 0:
                    self.enough.set()


def all_lines(town: "Town", processid: str) -> list[str]:
    """Return every log line of a process, page by page."""
    lines: list[str] = []
    since = 0
    while page := town.call("user", "getlogsmsg", processid=processid, count=500, since=since):
        lines += [entry["message"] for entry in page]
        since = page[-1]["timestamp"]
    return lines


def test_no_acknowledged_call_is_lost_when_the_server_is_killed_20_times(
    program: "Program", town_at: Callable[[int], "Town"]
) -> None:
    town = town_at(program.start()).settle()
    running = town.submit(maxexectime=-1)
    assert town.assign() == running
    enough, stop = threading.Event(), threading.Event()
    writers = [Writer(town, running, number, enough, stop) for number in range(WRITERS)]
    for writer in writers:
        writer.start()

    for _ in range(KILLS):
        assert enough.wait(60), "the writers came to no answer"
        enough.clear()
        assert program.end(signal.SIGKILL) == -signal.SIGKILL
        program.start()
    stop.set()
    for writer in writers:
        writer.join()

    stored = all_lines(town, running)
    assert len(stored) == len(set(stored)), "no line was stored twice"
    acknowledged = [line for writer in writers for line in writer.lines]
    assert set(acknowledged) <= set(stored)
    assert len(acknowledged) >= KILLS * CALLS_PER_KILL / 2 / WRITERS
    submitted = [processid for writer in writers for processid in writer.processes]
    assert {town.state(processid) for processid in submitted} == {0}
    assert town.state(running) == 1


def test_a_close_that_was_acknowledged_is_a_close_after_the_kill(
    program: "Program", town_at: Callable[[int], "Town"]
) -> None:
    town = town_at(program.start()).settle()
    closed = []
    for _ in range(3):
        processid = town.submit()
        town.assign()
        town.close(processid, out=["kept"])
        closed.append(processid)
        program.end(signal.SIGKILL)
        program.start()

    assert [town.process(processid)["out"] for processid in closed] == [["kept"]] * 3
    assert {town.state(processid) for processid in closed} == {2}


def test_sigterm_ends_the_server_in_order(program: "Program", town_at: Callable[[int], "Town"]) -> None:
    town_at(program.start()).settle()

    assert program.end(signal.SIGTERM) == 0


def test_a_second_server_on_the_database_gets_a_clear_error(start: Callable[..., Any], tmp_path: Path) -> None:
    busy = pytest.raises(ServerError, match=r"another server \(process \d+\) uses this database")
    with start(tmp_path / "db"), busy, start(tmp_path / "db"):
        pass

    with start(tmp_path / "db") as again:
        assert again.town.post(b"", "/health", "GET")[0] == 200


def test_what_was_stored_is_there_after_a_restart(start: Callable[..., Any], tmp_path: Path) -> None:
    with start(tmp_path / "db") as first:
        processid = first.town.settle().submit()
    with start(tmp_path / "db") as second:
        assert second.town.state(processid) == 0
        assert second.town.assign() == processid


def test_the_database_is_readable_by_its_owner_only(start: Callable[..., Any], tmp_path: Path) -> None:
    with start(tmp_path / "folder" / "db") as found:
        found.town.settle()
        files = [path for path in (tmp_path / "folder").rglob("*") if path.is_file()]

        assert files
        assert {path.stat().st_mode & 0o077 for path in files} == {0}


def test_a_file_that_is_no_database_is_a_clear_error(start: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "notes.db").write_text("these are my notes, and there are many of them\n" * 100)

    with pytest.raises(ServerError, match=r"notes\.db: no usable database"), start(tmp_path / "notes.db"):
        pass

    assert (tmp_path / "notes.db").read_text().startswith("these are my notes")


def test_a_database_of_another_version_is_a_clear_error(start: Callable[..., Any], tmp_path: Path) -> None:
    make = "import sqlite3, sys; db = sqlite3.connect(sys.argv[1]); db.execute('PRAGMA user_version = 99'); db.close()"
    subprocess.run([sys.executable, "-c", make, str(tmp_path / "new.db")], check=True)

    with pytest.raises(ServerError, match="another version"), start(tmp_path / "new.db"):
        pass


def test_it_listens_on_the_loopback_only_unless_told(start: Callable[..., Any], tmp_path: Path) -> None:
    for host in ("0.0.0.0", "192.0.2.1", "::"):
        with pytest.raises(ServerError, match="can be reached by others"), start(tmp_path, host=host):
            pass
    with pytest.raises(ServerError, match="no address"), start(tmp_path, host="example.org"):
        pass
    with start(tmp_path, host="0.0.0.0", expose=True) as found:
        assert found.town.post(b"", "/health", "GET")[0] == 200


def test_a_port_in_use_is_a_clear_error(start: Callable[..., Any], tmp_path: Path) -> None:
    with start(tmp_path / "a") as first:
        port = first.server.port
        with (
            pytest.raises(ServerError, match=f"cannot listen on 127.0.0.1 port {port}"),
            start(tmp_path / "b", port=port),
        ):
            pass
        with start(tmp_path / "b") as other:
            assert other.server.url == f"http://127.0.0.1:{other.server.port}"


def test_bootstrap_makes_a_colony_once_and_again(start: Callable[..., Any], tmp_path: Path) -> None:
    with start(tmp_path) as found:
        running: Running = found
        town, owner, user = running.town, running.town.keys["owner"].id, running.town.keys["user"].id

        for _ in range(2):
            running.on_loop(running.server.bootstrap("town", owner, users=[("me", user)]))

        town.add_executor("e1")
        town.close(town.submit() and str(town.assign()))
        assert [found["name"] for found in town.call("user", "getusersmsg", colonyname="town")] == ["me"]
        with pytest.raises(ServerError, match="is no id"):
            running.on_loop(running.server.bootstrap("town", "short"))


def test_bootstrap_gives_a_known_name_a_new_key(start: Callable[..., Any], tmp_path: Path) -> None:
    with start(tmp_path) as found:
        town = found.town.settle()
        processid = town.submit()

        found.on_loop(
            found.server.bootstrap("town", town.keys["owner"].id, users=[("alice", town.keys["stranger"].id)])
        )

        assert town.call("stranger", "getprocessmsg", processid=processid)["processid"] == processid
        assert town.refused("user", "getprocessmsg", processid=processid)[0] == 403


def test_the_owner_can_be_changed_and_stays_changed(start: Callable[..., Any], tmp_path: Path) -> None:
    with start(tmp_path) as found:
        new = found.town.keys["stranger"].id
        found.town.call("server", "changeserveridmsg", serverid=new)
    with start(tmp_path) as again:
        assert again.town.call("stranger", "getcoloniesmsg") is None
        assert again.town.refused("server", "getcoloniesmsg") == (403, "Access denied, not server owner")


def test_answers_say_when_the_disk_is_full(start: Callable[..., Any], tmp_path: Path) -> None:
    with start(tmp_path) as found:
        town = found.town.settle()

        def limit(db: Any, _now: int) -> tuple[None, list[Any]]:
            pages = db.execute("PRAGMA page_count").fetchone()[0]
            db.execute(f"PRAGMA max_page_count = {pages}")
            return None, []

        found.on_loop(found.server._store.run(limit))
        spec = {"label": "x" * 500_000, "conditions": {"colonyname": "town"}}
        status, message = town.refused("user", "submitfuncspecmsg", spec=spec)

        assert status == 500
        assert "full" in message
        assert town.call("user", "getcolonystatsmsg", colonyname="town")["waitingprocesses"] == 0
