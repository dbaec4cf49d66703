"""A user of the file system: a colony, a store, directories, and what goes wrong between them."""

import signal
import subprocess
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

import attrs
from colonies import Colony

from container_executor.cfs import Plan, Policy, Syncer, Tree
from container_executor.cfs.store import Store
from container_executor.client import FileRecord
from container_executor.settings import Settings, load
from container_executor.testing.engines import require_engine

LABEL = "/data"


def s3_settings(bucket: str, **changes: str) -> Settings:
    """Return the settings of the S3 server that is up."""
    lines = require_engine("minio")
    variables = {
        "COLONIES_COLONY_NAME": "dev",
        "AWS_S3_ENDPOINT": lines["CE_S3_ENDPOINT"],
        "AWS_S3_BUCKET": bucket,
        "AWS_S3_REGION_KEY": lines["CE_S3_REGION"],
        "AWS_S3_ACCESSKEY": lines["CE_S3_ACCESSKEY"],
        "AWS_S3_SECRETKEY": lines["CE_S3_SECRETKEY"],
    }
    return load(environ={**variables, **changes})


@attrs.define(eq=False)
class Rig:
    """A user with a colony, a store and directories."""

    colony: Colony
    syncer: Syncer
    folder: Path

    def place(self, name: str = "here", files: Mapping[str, str | bytes] | None = None) -> Path:
        """Return a directory with these files in it."""
        place = self.folder / name
        place.mkdir(exist_ok=True)
        for path, content in (files or {}).items():
            (place / path).parent.mkdir(parents=True, exist_ok=True)
            (place / path).write_bytes(content.encode() if isinstance(content, str) else content)
        return place

    def plan(self, place: Path, label: str = LABEL, policy: Policy = Policy.KEEP_LOCAL, **options: Any) -> Plan:
        """Return what a synchronisation would do."""
        return self.syncer.plan(Tree(place.parent, (place.name,)), label, policy, **options)

    def sync(self, place: Path, label: str = LABEL, policy: Policy = Policy.KEEP_LOCAL, **options: Any) -> Plan:
        """Synchronise and return what was planned."""
        plan = self.plan(place, label, policy, **options)
        self.syncer.apply(plan, Tree(place.parent, (place.name,)), label)
        return plan

    def record(self, label: str, name: str, content: bytes = b"", *, stored: bytes | None = None) -> FileRecord:
        """Put a file as another client would: *stored* is what the store has, where that is not the content."""
        key = sha256(f"{label}{name}{uuid4()}".encode()).hexdigest()
        if (stored if stored is not None else content) and stored != b"":
            self.store.put(key, stored if stored is not None else content)
        record = FileRecord(label, name, len(content), sha256(content).hexdigest(), key)
        added: FileRecord = self.colony.call(self.colony.client.add_file, record)
        return added

    @property
    def store(self) -> Store:
        """Where contents are."""
        return self.syncer.store

    def content(self, label: str, name: str) -> bytes:
        """Return the current content of a file as the store has it."""
        record = self.colony.call(self.colony.client.file, label, name)
        return b"".join(bytes(piece) for piece in self.store.read(record.object)) if record.size else b""

    def revisions(self, label: str, name: str) -> int:
        """Return how many revisions a file has."""
        return len(self.colony.call(self.colony.client.revisions, label, name))


def names(place: Path) -> list[str]:
    """Return the names in a directory."""
    return sorted(path.name for path in place.iterdir())


def ended(program: "subprocess.Popen[bytes]", code: int = 0) -> str:
    """Return what a command printed once it has ended as it should."""
    _, words = program.communicate()
    assert program.returncode == code, words.decode()
    return words.decode()


def cut_short(program: "subprocess.Popen[bytes]", by: signal.Signals, when: Callable[[], bool]) -> tuple[int, str]:
    """Send a command a signal in its middle; return its exit code and what it said.

    There is no pause between two looks: all of it may take less time than one, or even than it takes to look. So it may have
    ended by itself, and the caller tries again.
    """
    with program:
        while not when() and program.poll() is None:
            pass
        program.send_signal(by)
        _, words = program.communicate()
    return program.returncode, words.decode()
