"""Which directories of the site hold files of which label, kept on the disk: leftovers of one label never go to another."""

import sqlite3
from pathlib import Path

import attrs

from container_executor.cfs import DiskError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS directories (path TEXT PRIMARY KEY, label TEXT NOT NULL, keep INTEGER NOT NULL) STRICT
"""


def register_of(state_dir: Path) -> Path:
    """Return the file in which the daemon of a state directory keeps its register."""
    return state_dir / "directories.sqlite"


@attrs.frozen
class Kept:
    """A directory that was filled.

    Attributes:
        parts: The way to it below the site's directory.
        label: The label that its files belong to.
        keep: It stays when no job uses it any more.
    """

    parts: tuple[str, ...]
    label: str
    keep: bool = False


class Register:
    """The directories that were filled and not emptied since. The event loop's thread is the only one to use it."""

    def __init__(self, path: Path) -> None:
        """Open, or make, the register in the file *path*.

        Raises:
            DiskError: It cannot be used.
        """
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._database = sqlite3.connect(path, isolation_level=None)
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute(_SCHEMA)
        except (sqlite3.Error, OSError) as error:
            raise DiskError(f"{path}: cannot be used: {error}") from error

    def all(self) -> list[Kept]:
        """Return all of them, parents before children."""
        rows = self._ask("SELECT path, label, keep FROM directories ORDER BY path")
        return [Kept(tuple(path.split("/")), label, bool(keep)) for path, label, keep in rows]

    def near(self, parts: tuple[str, ...]) -> list[Kept]:
        """Return those that are a directory, hold it, or lie in it."""

        def overlaps(kept: Kept) -> bool:
            shorter = min(len(kept.parts), len(parts))
            return kept.parts[:shorter] == parts[:shorter]

        return [kept for kept in self.all() if overlaps(kept)]

    def temporary(self, parts: tuple[str, ...]) -> bool:
        """Return whether a directory was filled and shall not stay."""
        return any(kept.parts == parts and not kept.keep for kept in self.near(parts))

    def note(self, kept: Kept) -> None:
        """Note that a directory is being filled."""
        self._ask(
            "INSERT OR REPLACE INTO directories VALUES (?, ?, ?)", "/".join(kept.parts), kept.label, int(kept.keep)
        )

    def forget(self, parts: tuple[str, ...]) -> None:
        """Note that a directory is gone."""
        self._ask("DELETE FROM directories WHERE path = ?", "/".join(parts))

    def _ask(self, query: str, *values: object) -> list[tuple[str, str, int]]:
        try:
            return self._database.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise DiskError(f"{self._path}: {error}; free space in that folder", full="full" in str(error)) from error

    def close(self) -> None:
        """Close the file."""
        self._database.close()
