"""A synchronisation that is told to stop, stops, and goes on where it was when it is started anew."""

import signal
import socket
import subprocess
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path

import pytest
from colonies import wait_for
from files import Rig, cut_short, ended, names

from container_executor.cfs import Progress, Tree
from container_executor.cfs.each import Stop
from container_executor.cfs.errors import StoppedError

FILES = 400


class Stopping(Progress):
    """Stops what it counts."""

    stop: Stop
    after: int

    def done(self) -> None:
        super().done()
        if self.files == self.after:
            self.stop.set()


@pytest.mark.parametrize("way", ["up", "down"])
def test_what_is_told_to_stop_begins_nothing_more_and_goes_on_later(rig: Rig, way: str) -> None:
    files: dict[str, str | bytes] = {f"f{n:03}": f"content {n}" for n in range(FILES)}
    first, second = rig.place("first", files), rig.place("second")
    if way == "down":
        rig.sync(first)
    place = first if way == "up" else second
    plan, progress = rig.plan(place), Stopping()
    progress.stop, progress.after = Stop(), 40

    with pytest.raises(StoppedError):
        rig.syncer.until(progress.stop).apply(plan, Tree(place), "/data", progress)

    left = len(rig.plan(place).to_upload + rig.plan(place).to_download)
    assert FILES - 40 - rig.syncer.files_at_once <= left <= FILES - 40
    rig.sync(place)
    rig.sync(second)
    assert {name: (second / name).read_text() for name in names(second)} == files


@pytest.mark.parametrize("way", ["up", "down"])
def test_ctrl_c_ends_the_command_and_it_goes_on_later(
    command: Callable[..., "subprocess.Popen[bytes]"], rig: Rig, way: str
) -> None:
    numbers = count()

    def interrupted() -> tuple[Path, Mapping[str, str]] | None:
        prefix = f"{next(numbers)}-"
        files = {f"{prefix}{n:03}": f"content {n}" * 5_000 for n in range(FILES)}
        place = rig.place(f"{prefix}full", files)
        if way == "down":
            rig.sync(place)
            place = rig.place(f"{prefix}empty")

        def stored() -> list[str]:
            return [record.name for record in rig.colony.call(rig.colony.client.files, "/data")]

        def a_quarter_has_moved() -> bool:
            there = stored() if way == "up" else names(place)
            return sum(name.startswith(prefix) for name in there) >= FILES // 4

        code, words = cut_short(command(place), signal.SIGINT, a_quarter_has_moved)
        assert (code in (0, 130), "Traceback" in words) == (True, False), words
        return (place, files) if code else None

    place, files = wait_for(interrupted, "a signal before all is done")
    ended(command(place))

    assert all((place / name).read_text() == content for name, content in files.items())
    assert rig.plan(place).unchanged == FILES * next(numbers)


@pytest.mark.parametrize("store", ["s3"], indirect=True)
def test_ctrl_c_ends_a_command_that_a_silent_store_holds_up(
    command: Callable[..., "subprocess.Popen[bytes]"], rig: Rig
) -> None:
    """Its threads wait for 30 s, each for an answer."""
    place = rig.place("here", {f"f{n}": "content" for n in range(20)})
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"

        with command(place, f"cfs.endpoint={endpoint}") as stuck:
            silent.settimeout(15)
            with silent.accept()[0]:
                stuck.send_signal(signal.SIGINT)
                _, words = stuck.communicate(timeout=15)

    assert (stuck.returncode, words.decode().strip()) == (130, "interrupted")
