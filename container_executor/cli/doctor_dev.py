"""Whether the embedded server of development mode can start: its port is free, its database can be used."""

import contextlib
import os
import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from container_executor.cli.dev import DATABASE, FOLDER, port_of
from container_executor.cli.doctor_disk import check_directory
from container_executor.cli.doctor_report import Finding, fault, ok
from container_executor.server.schema import VERSION
from container_executor.settings import Settings

SERVER = "embedded server"
_OTHER = "start with another --state-dir"


def check_embedded(settings: Settings) -> Iterator[Finding]:
    """Yield what keeps the embedded server from starting, or that nothing does."""
    port, database = port_of(settings), settings.state_dir / FOLDER / DATABASE
    problems = [*_port(port), *check_directory(SERVER, database.parent, _OTHER)]
    if database.exists():
        problems += _database(database)
    yield from problems
    if not problems:
        yield ok(SERVER, f"port {port} is free, and {database} can be used")


def _port(port: int) -> Iterator[Finding]:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError as error:
        yield fault(
            SERVER,
            f"cannot listen on port {port}: {os.strerror(error.errno or 0)}",
            "end the program that listens there, or give another --port",
        )


def _database(file: Path) -> Iterator[Finding]:
    try:
        with contextlib.closing(
            sqlite3.connect(f"{file.absolute().as_uri()}?mode=rw", uri=True, timeout=0)
        ) as database:
            version = database.execute("PRAGMA user_version").fetchone()[0]
            database.execute("BEGIN IMMEDIATE")
            database.execute("ROLLBACK")
    except sqlite3.Error as error:
        running = "locked" in str(error)
        fix = (
            "end the server that uses it"
            if running
            else "put it back from a backup, or remove it with all that it knows"
        )
        yield fault(SERVER, f"{file}: {error}", f"{fix}, or {_OTHER}")
    else:
        if version not in (0, VERSION):
            yield fault(
                SERVER, f"{file}: written by another version (schema {version})", f"start that version, or {_OTHER}"
            )
