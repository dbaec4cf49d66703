"""The folder of a job, shared by the daemon and the nodes: what the one writes and the others read.

::

    <root>/<job id>/            made by submit, deleted by remove
        job.json                the mark, the image, the number of ranks
        script input deadline   what submit leaves for the job; deadline: milliseconds of TERM and KILL
        number                  Slurm's number, once the reply to sbatch came
        cancel                  somebody cancelled; a job that begins later does not run
        over                    Slurm says that the job has ended: ranks that it has lost sight of end themselves
        launch/id               made by the one run of the job; its number
        launch/again            Slurm started the same job once more, which left at once
        ranks/<n>/log           output of a rank, appended to only
        ranks/<n>/io/           what the rank sees: input, output
        exits/<n>               the exit record of a rank, moved into place after its last output
        done                    the record of the batch script, moved into place after srun's end
        batch.log               what Slurm and srun had to say
        slurm                   Slurm's own word about the end where only it could tell, kept because Slurm forgets
    <root>/wakes/<job id>       moved into place whenever something about the job changed

What is in ``ranks/<n>/io`` was written by a user's program and is opened with care.
"""

import contextlib
import fcntl
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import attrs

from container_executor.errors import UnavailableError
from container_executor.models import OUTPUT_LIMIT, Mark
from container_executor_slurm.records import Done, Exit, parse_done, parse_exit, parse_srun

WAKES = "wakes"


@attrs.frozen
class JobDir:
    """The folder of one job."""

    path: Path

    @property
    def exists(self) -> bool:
        """True from submit to remove."""
        return (self.path / "job.json").exists()

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Make the folder, and hold it against other submits of the same job. The script itself is the last guard."""
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / "lock").open("w") as lock:
            with contextlib.suppress(OSError):  # a file system without locks
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def write(self, name: str, text: str) -> None:
        """Write a file in one step."""
        handle, temporary = tempfile.mkstemp(dir=self.path, prefix=f".{name}.")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(temporary).replace(self.path / name)

    def read(self, name: str) -> str | None:
        """Return what is in a file, or None where there is none."""
        try:
            return (self.path / name).read_text(encoding="utf-8", errors="replace")
        except (FileNotFoundError, NotADirectoryError):
            return None

    def number(self) -> str:
        """Return Slurm's number: of the run that won where there were two, "" where it is not known."""
        return (self.read("launch/id") or self.read("number") or "").strip()

    def facts(self) -> Mapping[str, str]:
        """Return what ``job.json`` holds."""
        facts: Mapping[str, str] = json.loads(self.read("job.json") or "{}")
        return facts

    def mark(self) -> Mark | None:
        """Return whose job it is, or None for a folder that is no job's."""
        try:
            return Mark.from_dict(self.facts())
        except ValueError:
            return None

    def exits(self) -> dict[int, Exit]:
        """Return the exit records that are there, by rank."""
        with contextlib.suppress(FileNotFoundError):
            names = [path.name for path in (self.path / "exits").iterdir() if path.name.isdigit()]
            records = {int(name): parse_exit(self.read(f"exits/{name}") or "") for name in names}
            return {rank: record for rank, record in records.items() if record is not None}
        return {}

    def done(self) -> Done | None:
        """Return the record of the batch script."""
        return parse_done(self.read("done") or "")

    def began(self, rank: int) -> datetime | None:
        """Return when the program of a rank began, None before that."""
        with contextlib.suppress(OSError):
            seconds = os.lstat(self.path / "ranks" / str(rank) / "io" / ".started").st_mtime
            return datetime.fromtimestamp(seconds, UTC)
        return None

    def output(self, rank: int) -> str | None:
        """Return what a rank wrote to ``$COLONIES_OUTPUT``, at most one byte more than is allowed."""
        data = _read_untrusted(self.path / "ranks" / str(rank) / "io" / "output", OUTPUT_LIMIT + 1)
        return None if data is None else data.decode(errors="replace")

    def log(self, rank: int, offset: int, limit: int) -> bytes:
        """Return at most *limit* bytes of a rank's output from *offset* on."""
        with contextlib.suppress(FileNotFoundError), (self.path / "ranks" / str(rank) / "log").open("rb") as file:
            return os.pread(file.fileno(), limit, offset)
        return b""

    def srun_words(self) -> dict[int, str]:
        """Return what srun said about the ends of ranks."""
        return parse_srun(self.read("batch.log") or "")

    def delete(self) -> None:
        """Delete all of it; links are not followed."""
        (self.path.parent / WAKES / self.path.name).unlink(missing_ok=True)
        shutil.rmtree(self.path, ignore_errors=True)


@contextlib.contextmanager
def file_errors() -> Iterator[None]:
    """Translate what a shared file system may do to us."""
    try:
        yield
    except OSError as error:
        raise UnavailableError(f"the shared directory does not work: {error}") from error


def _read_untrusted(path: Path, limit: int) -> bytes | None:
    """Read a file that a user's program made: no link is followed, no pipe waited for."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    with os.fdopen(handle, "rb") as file:
        return file.read(limit) if stat.S_ISREG(os.fstat(handle).st_mode) else None
