"""One job's folder of the daemon: what the job finds and leaves, and who may submit it now."""

import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs

from container_executor.models import OUTPUT_LIMIT
from container_executor_docker.oom import NOTES

_OUTPUT = "output"
_RANK = re.compile(r"^\d{1,9}$", re.MULTILINE)


@attrs.frozen
class JobFolder:
    """The folder of one job; it appears with the first submit and goes with the removal.

    Attributes:
        path: Where it is.
    """

    path: Path

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the job's lock: of several that submit it, one after the other."""
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def give(self, text: str, user: str) -> None:
        """Make what the job finds, under the lock: its input, and the files that *user* may write.

        The folder itself stays the daemon's, so that a job cannot put a link in the place of one.
        """
        exchange = self.path / "exchange"
        if exchange.exists():
            return
        making = self.path / "making"
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir()
        (making / "input.json").write_text(text)
        (making / "input.json").chmod(0o644)
        for name in (_OUTPUT, NOTES):
            _make_writable(making / name, user)
        making.chmod(0o755)
        making.rename(exchange)

    def output(self) -> str | None:
        """Return the beginning of what the job left, None where there is no such file."""
        return self._left(_OUTPUT)

    def out_of_memory(self) -> frozenset[int]:
        """Return the ranks that noted at their end that the kernel had killed a process of theirs for want of memory."""
        return frozenset(map(int, _RANK.findall(self._left(NOTES) or "")))

    def _left(self, name: str) -> str | None:
        try:
            with (self.path / "exchange" / name).open("rb") as file:
                return file.read(OUTPUT_LIMIT + 1).decode("utf-8", "replace")
        except OSError:
            return None

    @property
    def refused(self) -> bool:
        """True once the job was cancelled before its containers were started: they never will be."""
        return (self.path / "refused").exists()

    def refuse(self) -> None:
        """Note that the job's containers must not be started."""
        self.path.mkdir(parents=True, exist_ok=True)
        (self.path / "refused").touch()

    def remove(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.path, ignore_errors=True)


def _make_writable(file: Path, user: str) -> None:
    """Make an empty file that *user*, as ``UID:GID``, may write: nobody else where the daemon may give files away."""
    file.touch()
    uid, _, gid = user.partition(":")
    if os.geteuid() == 0:
        os.chown(file, int(uid), int(gid))
    else:
        file.chmod(0o666)
