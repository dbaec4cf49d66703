"""Checksums of files, and a cache of them, so that what has not changed is not read again."""

import hashlib
import os
import sqlite3
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from container_executor.cfs.boot import boot
from container_executor.cfs.each import Stop
from container_executor.cfs.errors import ChangingError
from container_executor.cfs.scan import LocalFile, Stamp
from container_executor.cfs.tree import Tree
from container_executor.logs import Logger

log = Logger(__name__)

SETTLED = 2.0
"""Seconds since the last change after which a checksum is remembered: two changes within a tick of the disk's clock look like one."""
WRITTEN = 600.0
"""Seconds since the last change after which the disk has the content, also where it is busy. Linux begins to write after 30 (proc(5),
``vm.dirty_expire_centisecs``). A younger checksum is of what was in memory, and holds until the machine is started anew."""
KEPT = 90
"""Days that the checksum of a file is kept after it was last asked for."""
PIECE = 2**20
_ANY = b""
"""Stands for every run of the machine."""
_TOGETHER = 400  # files that one question is about; SQLite takes 999 variables at least (sqlite.org/limits.html)

_Row = tuple[int, int, int, int, int]
_SCHEMA = """
CREATE TABLE IF NOT EXISTS checksums (
    device INTEGER, inode INTEGER, size INTEGER, mtime INTEGER, ctime INTEGER, checksum TEXT NOT NULL,
    boot BLOB NOT NULL, day INTEGER NOT NULL,
    PRIMARY KEY (device, inode)
) STRICT, WITHOUT ROWID
"""


class Hashes:
    """Checksums of files by what the file system says of them; may be used from several threads.

    A cache that cannot be used costs time, never correctness: it is done without.
    """

    def __init__(self, path: Path | None) -> None:
        """Open, or make, the cache in the file *path*; None keeps it in memory."""
        self._lock = threading.Lock()
        self._fresh: dict[_Row, str] = {}
        self._day = int(time.time() / 86_400)
        self._database = _open(path, self._day)

    def get(self, stamp: Stamp) -> str:
        """Return the checksum of the file that had this stamp when it was hashed, or ""."""
        return self.get_all([stamp])[0]

    def get_all(self, stamps: Sequence[Stamp]) -> list[str]:
        """Return the checksums of several files, in their order, as :meth:`get` does."""
        rows = [_row(stamp) for stamp in stamps]
        known: dict[_Row, str] = {}
        with self._lock:
            for device in {row[0] for row in rows}:
                inodes = [row[1] for row in rows if row[0] == device]
                for start in range(0, len(inodes), _TOGETHER):
                    known |= self._kept(device, inodes[start : start + _TOGETHER])
            return [self._fresh.get(row) or known.get(row, "") for row in rows]

    def _kept(self, device: int, inodes: Sequence[int]) -> dict[_Row, str]:
        """Return what the cache has of the files that one question can be about."""
        if self._database is None:
            return {}
        # Pairs of device and inode, (a, b) IN (VALUES ...), take SQLite four times as long.
        query = f"SELECT * FROM checksums WHERE device = ? AND inode IN ({', '.join('?' * len(inodes))})"  # noqa: S608
        try:
            found = self._database.execute(query, [device, *inodes]).fetchall()
        except sqlite3.Error:
            return {}
        return {row[:5]: row[5] for row in found if row[6] in (_ANY, boot())}

    def put(self, stamp: Stamp, checksum: str, *, looked: float) -> None:
        """Remember a checksum.

        Args:
            stamp: What the file was before and after it was read.
            checksum: SHA-256, lowercase hex.
            looked: When it was first read, in seconds since 1970: a file that had changed a moment before is not remembered.
        """
        if looked - max(stamp.mtime_ns, stamp.ctime_ns) / 1e9 >= SETTLED:
            self.learn(stamp, checksum)

    def learn(self, stamp: Stamp, checksum: str) -> None:
        """Remember the checksum of a file that we wrote ourselves."""
        with self._lock:
            self._fresh[_row(stamp)] = checksum

    def save(self) -> None:
        """Write what was learnt to the disk."""
        with self._lock:
            young = int((time.time() - WRITTEN) * 1e9)
            rows = [
                (*row, checksum, boot() if max(row[3:]) > young else _ANY, self._day)
                for row, checksum in self._fresh.items()
            ]
            if self._database is None or not rows:
                return
            try:
                with self._database:
                    self._database.executemany("INSERT OR REPLACE INTO checksums VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
                self._fresh.clear()
            except sqlite3.Error as error:
                log.warning("checksums are not remembered", error=str(error))

    def close(self) -> None:
        """Save, and close the file."""
        self.save()
        if self._database is not None:
            self._database.close()
            self._database = None


def _row(stamp: Stamp) -> _Row:
    """Return a stamp as the cache has it."""
    return _signed(stamp.device), _signed(stamp.inode), stamp.size, stamp.mtime_ns, stamp.ctime_ns


def _signed(number: int) -> int:
    """Return *number* as SQLite keeps integers: inodes may use all 64 bits."""
    return number - 2**64 if number >= 2**63 else number


def _open(path: Path | None, day: int) -> sqlite3.Connection | None:
    try:
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        database = sqlite3.connect(path or ":memory:", check_same_thread=False, timeout=5)
        # With a log of its own (WAL) each run would make and remove two files, whether it learns anything or not.
        database.execute("PRAGMA journal_mode=DELETE")
        database.execute("PRAGMA synchronous=OFF")  # a lost cache is made again
        with database:
            database.execute(_SCHEMA)
            database.execute("DELETE FROM checksums WHERE day < ?", [day - KEPT])
    except (sqlite3.Error, OSError) as error:
        log.warning("checksums are not remembered", error=str(error))
        return None
    return database


def checksum_of(tree: Tree, file: LocalFile, hashes: Hashes, stop: Stop) -> str:
    """Return the checksum of a file, from the cache where it has not changed.

    Raises:
        ChangingError: It was written to, or removed, meanwhile.
        StoppedError: We were told to stop.
        PathError: It is no regular file any more.
        DiskError: It cannot be read.
    """
    if known := hashes.get(file.stamp):
        return known
    looked, digest = time.time(), hashlib.sha256()
    buffer = bytearray(min(PIECE, max(1, file.size + 1)))
    try:
        with tree.reading(file.path) as descriptor:
            while count := os.readv(descriptor, [buffer]):
                stop.check()
                digest.update(memoryview(buffer)[:count])
            after = Stamp.of(os.fstat(descriptor))
    except FileNotFoundError:
        raise ChangingError(f"{tree.path / file.path}: was removed while it was read") from None
    if after != file.stamp:
        raise ChangingError(f"{tree.path / file.path}: was written to while it was read")
    hashes.put(after, digest.hexdigest(), looked=looked)
    return digest.hexdigest()
