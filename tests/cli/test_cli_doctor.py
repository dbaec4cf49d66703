"""``doctor`` names each broken set-up of the core with what mends it, and finds nothing wrong with one that is well."""

import contextlib
import http.client
import json
import os
import socket
import sqlite3
import ssl
import subprocess
import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import attrs
import pytest

from container_executor.client import Executor, Identity, ensure_key
from container_executor.execute.journal import Journal
from tests.cli.conftest import CLEAN, PROGRAM, Colony
from tests.cli.test_cli_program import run

PORT = "CONTAINER_EXECUTOR_EXECUTOR_HEALTH_PORT"
OWNER = "COLONIES_COLONY_PRVKEY"


@attrs.frozen
class Site:
    """A site with a process backend, a state directory and a colony whose owner's key it has."""

    state: Path
    environ: Mapping[str, str]

    def without(self, *names: str, **changed: str) -> "Site":
        """Return the site without some variables, and with others."""
        left = {name: value for name, value in self.environ.items() if name not in names}
        return attrs.evolve(self, environ={**left, **changed})

    def arguments(self, *more: str) -> list[str]:
        return ["doctor", "--backend", "process", "--state-dir", str(self.state), *more]

    def look(self, *more: str) -> tuple[int, list[dict[str, str]]]:
        """Return the exit code and the findings."""
        result = run(*self.arguments("--json", *more), environ=self.environ)
        assert result.stdout, result.stderr
        return result.exit_code, json.loads(result.stdout)

    def fault(self, what: str, *more: str, level: str = "fault") -> tuple[str, str]:
        """Return why and fix of the only finding that is not ok; it is about *what*."""
        code, findings = self.look(*more)
        bad = [finding for finding in findings if finding["level"] != "ok"]
        assert [(finding["level"], finding["what"]) for finding in bad] == [(level, what)], findings
        assert code == (78 if level == "fault" else 0)
        assert bad[0]["fix"]
        return bad[0]["why"], bad[0]["fix"]


@pytest.fixture
def site(colony: Colony, tmp_path: Path) -> Site:
    environ = {
        **colony.environ,
        "CONTAINER_EXECUTOR_BACKENDS_PROCESS_ALLOW_HOST_EXECUTION": "true",
        "COLONIES_EXECUTOR_NAME": f"doctor-{tmp_path.name}".replace("_", "-").lower()[:40],
        PORT: "0",
    }
    return Site(tmp_path / "state", environ).without("COLONIES_PRVKEY", "COLONIES_SERVER_PRVKEY")


def member(colony: Colony, site: Site, *, approve: bool = True, name: str = "") -> Identity:
    """Give the site a key that the colony knows."""
    name = name or site.environ["COLONIES_EXECUTOR_NAME"]
    key = ensure_key(site.state / f"{site.environ['COLONIES_EXECUTOR_NAME']}.key")
    executor = Executor(name=name, id=key.id, type="container-executor", colony="dev")
    colony.call(lambda client: client.add_executor(executor), key="owner")
    if approve:
        colony.call(lambda client: client.approve_executor(name), key="owner")
    return key


# --- well -------------------------------------------------------------------------------------------------------------


def test_a_site_that_is_well_has_no_fault_and_is_left_as_it_was(site: Site) -> None:
    code, findings = site.look()

    assert [finding for finding in findings if finding["level"] != "ok"] == []
    assert [finding["what"] for finding in findings] == [
        "python",
        "settings",
        "key",
        "state directory",
        "server",
        "clock",
        "colony",
        "executor",
        "file store",
        "process",
    ]
    assert code == 0
    assert not site.state.exists()


def test_an_approved_executor_needs_no_key_of_the_colony(colony: Colony, site: Site) -> None:
    member(colony, site)

    code, findings = site.without(OWNER).look()

    assert code == 0
    assert [finding["why"] for finding in findings if finding["what"] == "executor"] == [
        f"{site.environ['COLONIES_EXECUTOR_NAME']} is approved"
    ]


def test_people_get_one_line_for_each_finding_with_its_fix(site: Site) -> None:
    result = run(
        *site.without(COLONIES_SERVER_PORT="1").arguments(), environ=site.without(COLONIES_SERVER_PORT="1").environ
    )

    lines = result.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["ok", "ok", "ok", "ok", "fault", "ok", "ok"]
    assert "does not answer" in lines[4]
    assert "  fix: see that the server runs" in lines[4]


def test_it_says_which_daemon_uses_the_state_directory(site: Site) -> None:
    with Journal(site.state):
        code, findings = site.look()

    assert code == 0
    assert any(f"used by a daemon (program {os.getpid()})" in finding["why"] for finding in findings)


# --- python and settings ----------------------------------------------------------------------------------------------


def broken_package(folder: Path, name: str, code: str) -> dict[str, str]:
    """Put a package that cannot be imported before the real one."""
    (folder / name).mkdir()
    (folder / name / "__init__.py").write_text(code)
    return {
        **CLEAN,
        "PYTHONPATH": f"{folder}:{os.environ.get('PYTHONPATH', '')}",
        "CONTAINER_EXECUTOR_CONFIG": "/dev/null",
    }


def test_a_package_of_python_that_cannot_be_imported(tmp_path: Path) -> None:
    environ = broken_package(tmp_path, "coincurve", "raise ImportError('libgmp.so.10: cannot open shared object file')")

    done = subprocess.run([*PROGRAM, "doctor"], env=environ, capture_output=True, text=True, check=False)

    assert done.returncode == 78
    assert done.stdout == (
        "fault    python           the package coincurve cannot be imported: libgmp.so.10: cannot open shared object "
        "file  fix: install it again: pip install --force-reinstall container-executor\n"
    )


def test_an_engine_whose_package_is_not_installed(tmp_path: Path) -> None:
    environ = broken_package(tmp_path, "docker", "raise ModuleNotFoundError('no docker', name='docker')")

    done = subprocess.run(
        [*PROGRAM, "doctor", "--dev", "--backend", "docker"], env=environ, capture_output=True, text=True, check=False
    )

    shared = tmp_path / "shared.toml"
    shared.write_text("[backends.docker]\npids = 7\n[backends.process]\nallow_host_execution = true\n")
    other = subprocess.run(
        [*PROGRAM, "doctor", "--dev", "--backend", "process", "--config", str(shared), "--state-dir", str(tmp_path)],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )

    assert "fault    settings" not in other.stdout
    assert done.returncode == 78
    assert "the docker backend needs the Python package docker: pip install 'container-executor[docker]'" in done.stdout


@pytest.mark.parametrize(
    ("toml", "why"),
    [
        ("bakend = 'x'", ":1: there is no setting bakend; did you mean backend?"),
        ("[executor]\nparallel = 0", ":2: executor.parallel: must be >= 1: 0"),
        ("[server\n", "is not TOML"),
        ("[server]\nkey = 'abc'", ":2: server.key: no private key: expected 64 hex digits"),
        ("[executor]\nname = ':'", ":2: executor.name: ':' is no name for an executor"),
        (
            "[backends.process]\nallow_hots_execution = true",
            ":2: [backends.process] has no setting allow_hots_execution; did you mean",
        ),
    ],
)
def test_wrong_settings(site: Site, tmp_path: Path, toml: str, why: str) -> None:
    file = tmp_path / "site.toml"
    file.write_text(toml)

    seen, fix = site.without("COLONIES_EXECUTOR_NAME").fault("settings", "--config", str(file))

    assert seen.startswith(str(file))
    assert why in seen
    assert "config check" in fix


def test_settings_that_are_missing_or_cannot_be_read(site: Site, tmp_path: Path) -> None:
    colony, _ = site.without("COLONIES_COLONY_NAME").fault("settings")
    file, _ = site.fault("settings", "--config", str(tmp_path / "nowhere.toml"))
    effect, _ = site.without(COLONIES_SERVER_HOTS="x").fault("settings", level="warning")

    assert "server.colony is not set: set CONTAINER_EXECUTOR_SERVER_COLONY or COLONIES_COLONY_NAME" in colony
    assert "nowhere.toml: cannot read it: No such file or directory" in file
    assert "COLONIES_SERVER_HOTS has no effect; did you mean COLONIES_SERVER_HOST?" in effect


# --- keys -------------------------------------------------------------------------------------------------------------


def test_a_key_that_others_can_read(colony: Colony, site: Site, tmp_path: Path) -> None:
    member(colony, site)
    kept = next(site.state.glob("*.key"))
    kept.chmod(0o644)
    owner = tmp_path / "owner.key"
    owner.write_text(site.environ[OWNER])
    owner.chmod(0o644)

    own, mend = site.look()[1], f"chmod 600 {kept}"
    why, fix = site.without(
        OWNER, CONTAINER_EXECUTOR_SERVER_COLONY_KEY_FILE=str(owner), COLONIES_EXECUTOR_NAME="other"
    ).fault("key")

    assert [finding["fix"] for finding in own if finding["what"] == "key"] == [mend]
    assert f"{owner} holds server.colony_key, and everyone on this machine can read it" in why
    assert fix == f"chmod o= {owner}"


def test_a_configuration_file_with_a_key_that_others_can_read(site: Site, tmp_path: Path) -> None:
    file = tmp_path / "site.toml"
    file.write_text(f"[server]\ncolony_key = '{site.environ[OWNER]}'\n")

    why, fix = site.without(OWNER).fault("key", "--config", str(file))

    assert "holds server.colony_key" in why
    assert fix == f"chmod o= {file}"


def test_a_kept_key_that_is_damaged(site: Site) -> None:
    site.state.mkdir(mode=0o700)
    kept = site.state / f"{site.environ['COLONIES_EXECUTOR_NAME']}.key"
    kept.write_text("half a k")
    kept.chmod(0o600)

    why, fix = site.fault("key")

    assert f"{kept}: no private key: expected 64 hex digits" in why
    assert fix == "put the key back from a backup"


# --- state directory --------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def mounted(place: Path, *options: str) -> Iterator[None]:
    """Mount a file system in memory for a while."""
    place.mkdir(mode=0o700)
    if subprocess.run(["mount", "-t", "tmpfs", *options, "doctor", place], check=False, capture_output=True).returncode:
        pytest.skip("only root can mount")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


def test_a_state_directory_in_memory(site: Site) -> None:
    with mounted(site.state, "-o", "size=300m,mode=700"):
        why, fix = site.fault("state directory", level="warning")

    assert "is on tmpfs: a restart of the machine loses the key" in why
    assert fix == "set state_dir to a directory on a disk"


def test_a_state_directory_on_a_full_disk(site: Site) -> None:
    with mounted(site.state, "-o", "size=128k,mode=700"):
        findings = [finding for finding in site.look()[1] if finding["level"] == "fault"]

    assert [finding["what"] for finding in findings] == ["state directory"]
    assert "No space left on device" in findings[0]["why"]
    assert "free space in" in findings[0]["fix"]


def test_a_state_directory_on_a_disk_that_is_nearly_full(site: Site) -> None:
    with mounted(site.state, "-o", "size=8m,mode=700"):
        findings = [finding for finding in site.look()[1] if finding["level"] == "warning"]

    assert findings[0]["why"].startswith("only 8 MiB are free")


def test_a_state_directory_that_cannot_be_written(site: Site) -> None:
    site.state.write_text("a file in the way")
    below = attrs.evolve(site, state=site.state / "below")
    in_the_way = below.look()[1]
    site.state.unlink()
    site.state.mkdir(mode=0o500)
    denied = seen_by_one_whom_permissions_bind(*below.arguments("--json"), environ=below.environ)

    first, second = (
        next(each for each in seen if each["level"] == "fault" and each["what"] == "state directory")
        for seen in (in_the_way, denied)
    )
    assert first["why"] == f"{site.state} is no directory"
    assert second["why"].endswith(f"cannot write into {site.state}: Permission denied")
    assert second["fix"].startswith("run this as the daemon's user, give it the directory (chown), or set state_dir")


def seen_by_one_whom_permissions_bind(*arguments: str, environ: Mapping[str, str]) -> list[dict[str, str]]:
    """Return what ``doctor`` finds without root's right to pass every permission; it is root all the same."""
    bound = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    variables = {**CLEAN, "CONTAINER_EXECUTOR_CONFIG": "/dev/null", **environ}
    argv = [*bound, *PROGRAM, *arguments]
    done = subprocess.run(argv, env=variables, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    findings: list[dict[str, str]] = json.loads(done.stdout)
    return findings


def test_a_state_directory_that_others_can_write(site: Site) -> None:
    site.state.mkdir()
    site.state.chmod(0o777)

    why, fix = site.fault("state directory")

    assert f"others can write into {site.state}" in why
    assert fix == f"chmod 700 {site.state}"


def test_a_journal_of_a_newer_version_and_one_that_is_damaged(site: Site) -> None:
    with Journal(site.state):
        pass
    file = site.state / "journal.sqlite"
    with contextlib.closing(sqlite3.connect(file)) as database:
        database.execute("PRAGMA user_version=99")
    newer, start = site.fault("state directory")
    file.write_bytes(b"SQLite format 3\0" + b"\xff" * 4096)
    damaged, restore = site.fault("state directory")

    assert "written by a newer version of this program (schema 99, this one knows 1)" in newer
    assert start.startswith("start that version again")
    assert "cannot be used as a journal" in damaged
    assert "backup" in restore


def test_a_health_port_that_is_taken(site: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        why, fix = site.without(**{PORT: str(taken.getsockname()[1])}).fault("health port", level="warning")

    assert "Address already in use; there would be no /healthz and no /metrics" in why
    assert "executor.health_port" in fix


# --- the server -------------------------------------------------------------------------------------------------------


def test_a_server_that_does_not_answer(site: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = str(closed.getsockname()[1])

    why, fix = site.without(COLONIES_SERVER_PORT=port).fault("server")
    name, _ = site.without(COLONIES_SERVER_HOST="no-such-host.invalid").fault("server")

    assert "does not answer" in why
    assert "see that the server runs and no firewall is between" in fix
    assert "no-such-host.invalid" in name


def test_tls_where_the_server_speaks_none_and_the_other_way_round(site: Site, tls_port: str) -> None:
    spoken, off = site.without("COLONIES_TLS").fault("server")
    unspoken, on = site.without(COLONIES_SERVER_PORT=tls_port).fault("server")
    distrusted, trust = site.without("COLONIES_TLS", COLONIES_SERVER_PORT=tls_port).fault("server")

    assert "does not speak TLS as expected" in spoken
    assert "set server.tls = false" in off
    assert unspoken
    assert "server.tls = true" in on or "see that the server runs" in on
    assert "certificate that is not trusted" in distrusted
    assert "SSL_CERT_FILE" in trust


@pytest.fixture
def tls_port(tmp_path: Path) -> Iterator[str]:
    """The port of a server that speaks TLS with a certificate that nobody knows."""
    pair = [str(tmp_path / "key.pem"), str(tmp_path / "cert.pem")]
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "1",
        "-subj",
        "/CN=localhost",
        "-keyout",
        pair[0],
        "-out",
        pair[1],
    ]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair[1], pair[0])
    with serving(Quiet) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        yield str(server.server_port)


class Quiet(BaseHTTPRequestHandler):
    """Answers everything with 404, as a web server does that knows nothing of Colonies."""

    def do_POST(self) -> None:
        self.send_error(404)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name in the base class
        pass


@contextlib.contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[ThreadingHTTPServer]:
    class Server(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            pass

    with Server(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def test_a_web_server_that_is_none_of_colonies(site: Site) -> None:
    with serving(Quiet) as server:
        why, fix = site.without(COLONIES_SERVER_PORT=str(server.server_port)).fault("server")

    assert why
    assert "to those of a Colonies server" in fix


@pytest.mark.parametrize(("off", "level"), [(timedelta(minutes=-2), "warning"), (timedelta(hours=1), "fault")])
def test_a_clock_that_differs_from_the_servers(site: Site, off: timedelta, level: str) -> None:
    class Shifted(Quiet):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            connection = http.client.HTTPConnection("127.0.0.1", int(site.environ["COLONIES_SERVER_PORT"]))
            connection.request("POST", self.path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            content = answer.read()
            connection.close()
            self.send_response_only(answer.status)
            self.send_header("Date", format_datetime(datetime.now(UTC) + off, usegmt=True))
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    with serving(Shifted) as server:
        why, fix = site.without(COLONIES_SERVER_PORT=str(server.server_port)).fault("clock", level=level)

    assert why.startswith("this machine's clock differs from the server's by")
    assert "timedatectl set-ntp true" in fix


# --- the colony and we in it ------------------------------------------------------------------------------------------


def test_a_server_of_another_colony(colony: Colony, site: Site) -> None:
    with_owner, _ = site.without(COLONIES_COLONY_NAME="elsewhere").fault("colony")
    member(colony, site)
    why, fix = site.without(OWNER, COLONIES_COLONY_NAME="elsewhere").fault("colony")

    assert "elsewhere" in with_owner
    assert "Colony with name <elsewhere> does not exist" in why
    assert fix.startswith("set server.colony, or server.host")


def test_a_key_that_does_not_own_the_colony(site: Site) -> None:
    wrong = Identity.new()

    why, fix = site.without(**{OWNER: wrong.key}).fault("colony")

    assert f"the key from {OWNER}, id {wrong.id}, does not own colony dev" in why
    assert wrong.key not in why + fix
    assert fix.startswith("set server.colony_key_file to the owner's key")


def test_an_executor_that_is_not_approved(colony: Colony, site: Site) -> None:
    name = site.environ["COLONIES_EXECUTOR_NAME"]
    alone = site.without(OWNER)
    keyless, make_key = alone.fault("executor")
    key = ensure_key(site.state / f"{name}.key")
    unknown, add = alone.fault("executor")
    member(colony, site, approve=False)
    pending, approve = alone.fault("executor")
    colony.call(lambda client: client.reject_executor(name), key="owner")
    rejected, _ = alone.fault("executor")

    assert f"{name} is not known to the colony, and has no key" in keyless
    assert f"container-executor keys new {site.state / f'{name}.key'}" in make_key
    assert unknown == f"{name} is not known to the colony; its id is {key.id}"
    assert f"have the colony's owner add executor {name} of type container-executor with that id" in add
    assert f"{name} is pending" in pending
    assert f"have the colony's owner approve executor {name}" in approve
    assert f"{name} is rejected" in rejected


def test_a_name_that_the_colony_knows_with_another_key(colony: Colony, site: Site) -> None:
    member(colony, site)
    known = next(site.state.glob("*.key"))
    known.unlink()
    ours = member(colony, site, name=f"{site.environ['COLONIES_EXECUTOR_NAME']}-x")
    why, fix = site.fault("executor")

    assert f"is that of executor {site.environ['COLONIES_EXECUTOR_NAME']}-x" in why
    assert "keys new" in fix
    assert ours.id


def test_a_lost_key_of_a_known_name(colony: Colony, site: Site) -> None:
    lost = member(colony, site)
    next(site.state.glob("*.key")).unlink()
    user = colony.environ["COLONIES_PRVKEY"]

    why, fix = site.without(COLONIES_PRVKEY=user).fault("executor")

    assert f"with another key, id {lost.id}" in why
    assert fix.startswith(f"put its key back into {site.state}")


# --- files of jobs ----------------------------------------------------------------------------------------------------


def test_a_file_store_that_cannot_be_used(site: Site, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    (tmp_path / "way").write_text("")
    s3 = {"AWS_S3_ENDPOINT": f"127.0.0.1:{port}", "AWS_S3_BUCKET": "b"}

    half, _ = site.without(**s3).fault("file store")
    away, start = site.without(**s3, AWS_S3_ACCESSKEY="a", AWS_S3_SECRETKEY="s").fault("file store")
    folder, other = site.fault(
        "file store", "-o", "cfs.store=folder", "-o", f"cfs.folder={tmp_path / 'way' / 'objects'}"
    )
    directories, _ = site.fault(
        "directories",
        "-o",
        "cfs.store=folder",
        "-o",
        f"cfs.folder={tmp_path / 'f'}",
        "-o",
        f"cfs.fs_dir={tmp_path / 'way'}",
    )

    assert "cfs.access_key is not set" in half
    assert "does not answer" in away
    assert "see that the store runs" in start
    assert folder == f"{tmp_path / 'way'} is no directory"
    assert other == "set cfs.folder to another directory"
    assert directories == folder
    assert not (tmp_path / "f").exists()


def test_a_backend_that_may_not_run_here(site: Site) -> None:
    why, fix = site.without("CONTAINER_EXECUTOR_BACKENDS_PROCESS_ALLOW_HOST_EXECUTION").fault("process")

    assert why == "programs may not run on this host"
    assert "allow_host_execution" in fix


# --- development mode -------------------------------------------------------------------------------------------------


@pytest.fixture
def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return str(free.getsockname()[1])


def test_development_mode_that_is_well(site: Site, free_port: str) -> None:
    code, findings = site.without(*site.environ).look("--dev", "--port", free_port)

    assert {finding["level"] for finding in findings} == {"ok"}
    assert code == 0
    assert not site.state.exists()


def test_a_port_that_the_embedded_server_cannot_have(site: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        why, fix = site.fault("embedded server", "--dev", "--port", str(taken.getsockname()[1]))

    assert "Address already in use" in why
    assert "--port" in fix


def test_a_database_that_the_embedded_server_cannot_use(site: Site, free_port: str) -> None:
    dev = site.state / "dev"
    dev.mkdir(parents=True, mode=0o700)
    site.state.chmod(0o700)
    file = dev / "colonies.sqlite"
    file.write_bytes(b"no database" * 100)
    damaged, _ = site.fault("embedded server", "--dev", "--port", free_port)
    file.unlink()
    with contextlib.closing(sqlite3.connect(file)) as database:
        database.execute("PRAGMA user_version=77")
        newer, _ = site.fault("embedded server", "--dev", "--port", free_port)
        database.execute("PRAGMA user_version=1")
        database.execute("BEGIN EXCLUSIVE")
        used, end = site.fault("embedded server", "--dev", "--port", free_port)
    file.unlink()
    dev.rmdir()
    dev.write_text("")
    unwritable, other = site.fault("embedded server", "--dev", "--port", free_port)

    assert "file is not a database" in damaged
    assert "schema 77" in newer
    assert "locked" in used
    assert "end the server that uses it" in end
    assert unwritable == f"{dev} is no directory"
    assert "--state-dir" in other
