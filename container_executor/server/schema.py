"""The database: its file, its lock, its tables."""

import fcntl
import os
import sqlite3
from pathlib import Path
from typing import Literal

import attrs

from container_executor.errors import ServerError

Durability = Literal["full", "normal"]

FILE_NAME = "colonies.db"
VERSION = 1

_TABLES = """
CREATE TABLE server (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE colonies (name TEXT PRIMARY KEY, colonyid TEXT NOT NULL, paused INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
CREATE TABLE users (
    seq INTEGER PRIMARY KEY, colony TEXT NOT NULL, userid TEXT NOT NULL, name TEXT NOT NULL,
    email TEXT NOT NULL, phone TEXT NOT NULL, UNIQUE (colony, userid), UNIQUE (colony, name));
CREATE TABLE executors (
    seq INTEGER PRIMARY KEY, colony TEXT NOT NULL, executorid TEXT NOT NULL, name TEXT NOT NULL,
    executortype TEXT NOT NULL, location TEXT NOT NULL, state INTEGER NOT NULL, requirefuncreg INTEGER NOT NULL,
    commissioned INTEGER NOT NULL, heard INTEGER NOT NULL, capabilities TEXT NOT NULL, allocations TEXT NOT NULL,
    blueprintid TEXT NOT NULL, blueprintgen INTEGER NOT NULL, UNIQUE (colony, executorid), UNIQUE (colony, name));
CREATE TABLE functions (
    seq INTEGER PRIMARY KEY, functionid TEXT NOT NULL UNIQUE, colony TEXT NOT NULL, executorname TEXT NOT NULL,
    funcname TEXT NOT NULL, entry TEXT NOT NULL, counter INTEGER NOT NULL DEFAULT 0,
    minwait REAL NOT NULL DEFAULT 0, maxwait REAL NOT NULL DEFAULT 0, minexec REAL NOT NULL DEFAULT 0,
    maxexec REAL NOT NULL DEFAULT 0, avgwait REAL NOT NULL DEFAULT 0, avgexec REAL NOT NULL DEFAULT 0);
CREATE INDEX functions_of ON functions (colony, executorname, funcname);
CREATE TABLE processes (
    seq INTEGER PRIMARY KEY, processid TEXT NOT NULL UNIQUE, colony TEXT NOT NULL, executortype TEXT NOT NULL,
    executornames TEXT NOT NULL, location TEXT NOT NULL, label TEXT NOT NULL, funcname TEXT NOT NULL,
    initiatorid TEXT NOT NULL, initiatorname TEXT NOT NULL, state INTEGER NOT NULL, assigned TEXT NOT NULL,
    prioritytime INTEGER NOT NULL, submitted INTEGER NOT NULL, started INTEGER NOT NULL, ended INTEGER NOT NULL,
    waitdeadline INTEGER NOT NULL, execdeadline INTEGER NOT NULL, due INTEGER, maxwaittime INTEGER NOT NULL,
    maxexectime INTEGER NOT NULL, maxretries INTEGER NOT NULL, retries INTEGER NOT NULL,
    waitforparents INTEGER NOT NULL, parents TEXT NOT NULL, children TEXT NOT NULL, graphid TEXT NOT NULL,
    input TEXT NOT NULL, output TEXT NOT NULL, errors TEXT NOT NULL, cpu INTEGER NOT NULL, memory INTEGER NOT NULL,
    nodes INTEGER NOT NULL, processes INTEGER NOT NULL, processespernode INTEGER NOT NULL, spec TEXT NOT NULL);
CREATE INDEX processes_waiting ON processes (colony, executortype, prioritytime) WHERE state = 0;
CREATE INDEX processes_overdue ON processes (waitdeadline) WHERE state = 0 AND waitdeadline > 0;
CREATE INDEX processes_running ON processes (colony, assigned) WHERE state = 1;
CREATE INDEX processes_due ON processes (due) WHERE state = 1 AND due IS NOT NULL;
CREATE INDEX processes_state ON processes (colony, state, ended);
CREATE INDEX processes_graph ON processes (graphid) WHERE graphid <> '';
CREATE TABLE attributes (
    seq INTEGER PRIMARY KEY, attributeid TEXT NOT NULL UNIQUE, targetid TEXT NOT NULL, colony TEXT NOT NULL,
    graphid TEXT NOT NULL, state INTEGER NOT NULL, kind INTEGER NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,
    UNIQUE (targetid, kind, key));
CREATE TABLE graphs (
    seq INTEGER PRIMARY KEY, graphid TEXT NOT NULL UNIQUE, colony TEXT NOT NULL, initiatorid TEXT NOT NULL,
    initiatorname TEXT NOT NULL, roots TEXT NOT NULL, state INTEGER NOT NULL, submitted INTEGER NOT NULL,
    started INTEGER NOT NULL, ended INTEGER NOT NULL);
CREATE INDEX graphs_state ON graphs (colony, state, submitted);
CREATE TABLE logs (
    ts INTEGER PRIMARY KEY, processid TEXT NOT NULL, colony TEXT NOT NULL, executorname TEXT NOT NULL,
    message TEXT NOT NULL);
CREATE INDEX logs_process ON logs (processid, ts);
CREATE INDEX logs_executor ON logs (colony, executorname, ts);
CREATE TABLE files (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, fileid TEXT NOT NULL UNIQUE, colony TEXT NOT NULL, label TEXT NOT NULL,
    name TEXT NOT NULL, size INTEGER NOT NULL, checksum TEXT NOT NULL, checksumalg TEXT NOT NULL, ref TEXT NOT NULL,
    object TEXT NOT NULL, added INTEGER NOT NULL);
CREATE INDEX files_name ON files (colony, label, name, seq);
CREATE TABLE snapshots (
    seq INTEGER PRIMARY KEY, snapshotid TEXT NOT NULL UNIQUE, colony TEXT NOT NULL, label TEXT NOT NULL,
    name TEXT NOT NULL, fileids TEXT NOT NULL, added INTEGER NOT NULL, UNIQUE (colony, name));
"""

COLONY_TABLES = ("users", "executors", "functions", "processes", "attributes", "graphs", "logs", "files", "snapshots")
"""The tables whose rows go with their colony."""


def database_file(path: Path) -> Path:
    """Return the database file that *path*, a file with a suffix or a folder, stands for."""
    return path if path.suffix and not path.is_dir() else path / FILE_NAME


@attrs.define(eq=False)
class FileLock:
    """The right to be the only server on a database; held by the operating system, so it ends with the process."""

    file: Path
    _descriptor: int = -1

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            ServerError: Another server has it.
        """
        self.file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self.file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(descriptor, 32).decode("ascii", "replace").strip()
            os.close(descriptor)
            raise ServerError(
                f"{self.file}: another server (process {owner or 'unknown'}) uses this database; "
                "stop it, or give this one a path of its own"
            ) from None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())
        self._descriptor = descriptor

    def release(self) -> None:
        """Give the lock back."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def connect(file: Path, durability: Durability) -> sqlite3.Connection:
    """Open the database, creating it readable by its owner only.

    ``full`` syncs the disk at every commit; ``normal`` survives the end of the program but not a power cut
    (https://www.sqlite.org/pragma.html#pragma_synchronous).

    Raises:
        ServerError: The file is no database of this program's version.
    """
    os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    db = sqlite3.connect(file, isolation_level=None, check_same_thread=False, cached_statements=512)
    try:
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute(f"PRAGMA synchronous = {durability.upper()}")
        db.execute("PRAGMA case_sensitive_like = ON")
        db.execute("PRAGMA temp_store = MEMORY")
        _migrate(db, file)
    except sqlite3.DatabaseError as error:
        db.close()
        raise ServerError(f"{file}: no usable database: {error}") from error
    except ServerError:
        db.close()
        raise
    return db


def _migrate(db: sqlite3.Connection, file: Path) -> None:
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version == 0:
        db.executescript(f"BEGIN; {_TABLES} PRAGMA user_version = {VERSION}; COMMIT;")
    elif version != VERSION:
        raise ServerError(f"{file}: written by another version (schema {version}, this one reads {VERSION})")
