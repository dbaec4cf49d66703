"""A full disk under the daemon's state and log, on every backend: what runs is closed as it ends, what is new refused by name."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from colonies import Colony, DaemonProgram, wait_for
from sites import ENGINES, site_of

from container_executor.client import ProcessState
from container_executor.execute.journal import Journal, JournalError
from container_executor.models import FailureClass

ROOM = 8 * 2**20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of eight megabytes."""
    place = tmp_path / "small"
    place.mkdir()
    size = f"size={ROOM},mode=755"
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", size, "small", place], check=False, capture_output=True
    ).returncode:
        pytest.skip("only root can mount a small disk")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


@pytest.mark.parametrize("backend", ENGINES)
def test_a_full_disk_ends_no_job_that_runs_and_starts_none(
    colony: Colony, make_daemon: Callable[..., DaemonProgram], small_disk: Path, backend: str
) -> None:
    site = site_of(backend)
    patience = 10.0 * site.slack
    daemon = make_daemon(backend=backend, options=site.options, folder=small_disk)
    daemon.start()
    running = colony.submit("echo begun; sleep 5; exit 3", image=site.image, maxexectime=600)
    wait_for(lambda: "begun" in colony.output(running), "its first line", patience)

    ballast = _fill(small_disk)
    refused = colony.submit("true", image=site.image, maxexectime=600)
    ended = colony.wait(refused, patience=patience)
    assert colony.wait(running, patience=patience).state is ProcessState.FAILED, daemon.log()
    ballast.unlink()

    assert ended.state is ProcessState.FAILED
    assert ended.errors[0].startswith("disk_full: ")
    assert FailureClass.DISK_FULL.hint in ended.errors[0]
    assert colony.verdict(running)["exit_code"] == 3
    assert colony.output(running) == ["begun"]
    after = colony.submit("echo fine", image=site.image, maxexectime=600)
    assert colony.wait(after, patience=patience).state is ProcessState.SUCCESS
    assert daemon.alive()


def test_a_journal_on_a_full_disk_asks_for_space_and_not_to_be_removed(small_disk: Path) -> None:
    Journal(small_disk).close()
    ballast = _fill(small_disk)

    with pytest.raises(JournalError, match=f"{small_disk}/journal.sqlite: .*free space in that folder") as caught:
        Journal(small_disk)
    ballast.unlink()

    assert "remove" not in str(caught.value)
    Journal(small_disk).close()


def _fill(place: Path) -> Path:
    """Fill a file system to the last byte."""
    ballast = place / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (2**16, os.sysconf("SC_PAGE_SIZE")):
            _write_all(file.fileno(), bytes(size))
    return ballast


def _write_all(file: int, block: bytes) -> None:
    try:
        while True:
            os.write(file, block)
    except OSError:
        return
