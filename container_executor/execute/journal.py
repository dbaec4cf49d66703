"""What this daemon has begun, in SQLite, so that a crash at any moment loses nothing.

Each step that another program could see is written here before it is taken: :class:`~container_executor.execute.record.Stage`
lists them in their order. The event loop's thread is the only writer. ``synchronous=NORMAL`` keeps every record through a crash
of the program; after a loss of power the last few may be missing, and the engine's own list of jobs fills the gap.

The file bears a version, :data:`SCHEMA_VERSION`. A version of this program reads the journals of all versions before it, so an
upgrade keeps the jobs that run meanwhile: fields that were added have defaults. Whatever a later version wrote, a file or a
record with a field that is not known here, is refused and left as it is, because reading half of it would lose the other half.
"""

import contextlib
import json
import os
import sqlite3
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

import cattrs

from container_executor.errors import ContainerExecutorError
from container_executor.execute import lock
from container_executor.execute.record import Record

SCHEMA_VERSION = 1
"""Raised when a version of this program before the change could not read the journal rightly."""
FILE = "journal.sqlite"
KEEP_DONE = timedelta(days=7)
"""How long finished rows are kept: their launch numbers must not be given out again while the engine may have leftovers."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS processes (
    process_id TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    stage TEXT NOT NULL,
    launch INTEGER NOT NULL,
    changed REAL NOT NULL,
    record TEXT NOT NULL,
    PRIMARY KEY (process_id, attempt)
) STRICT
"""


class JournalError(ContainerExecutorError):
    """The journal cannot be read or written: a full disk, a foreign file, another daemon."""


def _converter() -> cattrs.Converter:
    converter = cattrs.Converter(forbid_extra_keys=True, omit_if_default=True)
    converter.register_unstructure_hook(datetime, lambda value: value.isoformat())
    converter.register_structure_hook(datetime, lambda value, _: datetime.fromisoformat(value))
    converter.register_unstructure_hook(timedelta, lambda value: value.total_seconds())
    converter.register_structure_hook(timedelta, lambda value, _: timedelta(seconds=value))
    return converter


_CONVERTER = _converter()


class Journal:
    """The records of one state directory. Only one daemon can have it open."""

    def __init__(self, folder: Path) -> None:
        """Open, or make, the journal in *folder*.

        Raises:
            JournalError: Another daemon holds it, it is not a journal, or the folder cannot be written.
        """
        self._lock = _lock(folder)
        self._path = folder / FILE
        try:
            with _errors(self._path):
                self._database = _open(self._path)
        except JournalError:
            os.close(self._lock)
            raise

    def write(self, record: Record) -> None:
        """Write the record; it is safe from a crash of the program when this returns.

        Raises:
            JournalError: The disk is full, or cannot be written.
        """
        row = (*record.key, record.stage.value, record.launch, time.time(), json.dumps(_CONVERTER.unstructure(record)))
        try:
            self._database.execute("INSERT OR REPLACE INTO processes VALUES (?, ?, ?, ?, ?, ?)", row)
        except sqlite3.Error as error:
            raise JournalError(f"{self._path}: cannot be written: {error}; free space in that folder") from error

    def read(self, process_id: str, attempt: int) -> Record | None:
        """Return the record of one attempt, or None."""
        rows = self._database.execute(
            "SELECT record FROM processes WHERE process_id = ? AND attempt = ?", [process_id, attempt]
        ).fetchall()
        return _record(rows[0][0], self._path) if rows else None

    def open_records(self) -> Iterator[Record]:
        """Yield every record that is not done, oldest first."""
        return iter(_open_records(self._database, self._path))

    def undone(self, process_id: str) -> Record | None:
        """Return the attempt of a process whose close the server took back, or None."""
        rows = self._database.execute(
            "SELECT record FROM processes WHERE process_id = ? AND stage = 'undone' ORDER BY attempt DESC", [process_id]
        ).fetchall()
        return _record(rows[0][0], self._path) if rows else None

    def close(self) -> None:
        """Close the journal and let another daemon have it."""
        self._database.close()
        os.close(self._lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


def _open(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, isolation_level=None)
    try:
        _check(database, path)
        path.chmod(0o600)
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=NORMAL")
        database.execute(_SCHEMA)
        database.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        oldest = time.time() - KEEP_DONE.total_seconds()
        database.execute("DELETE FROM processes WHERE stage = 'done' AND changed < ?", [oldest])
    except BaseException:
        database.close()
        raise
    return database


def check_journal(folder: Path) -> None:
    """Do nothing if *folder* has a journal that this version can go on with, or none; change nothing in it.

    Raises:
        JournalError: What is wrong with it.
    """
    path = folder / FILE
    if not path.exists():
        return
    with (
        _errors(path),
        contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database,
    ):
        _check(database, path)
        found = database.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise JournalError(
                f"{path}: is damaged: {found}; put it back from a backup, or remove it: jobs are then found again on the engine"
            )


def _check(database: sqlite3.Connection, path: Path) -> None:
    """Read everything that a start must understand, and write nothing.

    Raises:
        JournalError: A later version wrote it.
    """
    version = database.execute("PRAGMA user_version").fetchone()[0]
    if version not in range(SCHEMA_VERSION + 1):
        raise JournalError(
            f"{path}: written by a newer version of this program (schema {version}, this one knows {SCHEMA_VERSION}); "
            "start that version again, or let its jobs end under it first"
        )
    if version:
        _open_records(database, path)


def _open_records(database: sqlite3.Connection, path: Path) -> list[Record]:
    rows = database.execute(
        "SELECT record FROM processes WHERE stage NOT IN ('done', 'undone') ORDER BY changed"
    ).fetchall()
    return [_record(row[0], path) for row in rows]


def _record(text: str, path: Path) -> Record:
    """Return the record that was written as *text*.

    Raises:
        JournalError: It is none that this version knows.
    """
    try:
        return _CONVERTER.structure(json.loads(text), Record)
    except Exception as error:  # cattrs collects whatever the parts raise
        reasons = "; ".join(cattrs.transform_error(error, path="record"))
        raise JournalError(
            f"{path}: a record that this version cannot read ({reasons}): {text[:120]}; "
            "start the version again that wrote it, or let its jobs end under it first"
        ) from error


@contextlib.contextmanager
def _errors(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise JournalError(f"{path}: cannot be used as a journal: {error}; {_what_helps(error)}") from error


def _what_helps(error: sqlite3.Error) -> str:
    # The low byte is the primary code (https://www.sqlite.org/rescode.html); some errors of the module itself have none.
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN):
        return "free space in that folder, or look at its disk; keep the file: nothing else is wrong with it"
    return "put it back from a backup, or remove it: jobs are then found again on the engine"


def _lock(folder: Path) -> int:
    try:
        return lock.take(folder)
    except BlockingIOError as error:
        raise JournalError(
            f"{folder}: another daemon uses this state directory; give each its own with --state-dir"
        ) from error
    except OSError as error:
        raise JournalError(f"{folder}: cannot be used as state directory: {error.strerror}") from error
