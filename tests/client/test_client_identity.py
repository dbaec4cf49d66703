"""Key files and executor names."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from container_executor.client import ensure_key, executor_name, load_key
from container_executor.errors import SettingsError

KEY = "ddf7f7791208083b6a9ed975a72684f6406a269cfa36f1b1c32045c0a71fff05"


def _write(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def test_a_key_is_made_once_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "state" / "edge.key"

    made = ensure_key(path)

    assert ensure_key(path) == made == load_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [item.name for item in path.parent.iterdir()] == ["edge.key"]


def test_a_wide_open_umask_does_not_open_the_key_file(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        ensure_key(tmp_path / "edge.key")
    finally:
        os.umask(before)

    assert stat.S_IMODE((tmp_path / "edge.key").stat().st_mode) == 0o600


def test_programs_that_make_a_key_at_once_get_the_same_one(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(ensure_key, [tmp_path / "edge.key"] * 32))

    assert len({key.id for key in keys}) == 1
    assert [item.name for item in tmp_path.iterdir()] == ["edge.key"]


def test_executors_of_different_names_have_different_keys(tmp_path: Path) -> None:
    """A server mixes up executors that share a key."""
    assert ensure_key(tmp_path / "one.key") != ensure_key(tmp_path / "two.key")


def test_a_key_file_may_end_in_a_newline_or_not(tmp_path: Path) -> None:
    one, two = _write(tmp_path / "a", KEY), _write(tmp_path / "b", f"{KEY.upper()}\r\n")

    assert load_key(one) == load_key(two)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o610, 0o644])
def test_a_key_file_that_others_may_use_is_refused_with_what_to_do(tmp_path: Path, mode: int) -> None:
    path = _write(tmp_path / "edge.key", KEY, mode)

    with pytest.raises(SettingsError, match=f"others may read it; run: chmod 600 {path}"):
        load_key(path)


@pytest.mark.parametrize("text", ["", "not a key", KEY[:-1], "é" * 64, "0" * 100_000])
def test_a_file_that_holds_no_key_is_named_and_its_text_is_not_shown(tmp_path: Path, text: str) -> None:
    path = _write(tmp_path / "edge.key", text)

    with pytest.raises(SettingsError, match="expected 64 hex digits") as caught:
        load_key(path)

    assert str(path) in str(caught.value)
    assert not text or text not in str(caught.value)


def test_a_missing_key_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.key: cannot be read: No such file"):
        load_key(tmp_path / "none.key")


def test_a_directory_is_no_key_file(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=str(tmp_path)):
        load_key(tmp_path)


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    _write(tmp_path / "file", "")

    with pytest.raises(SettingsError, match=r"edge\.key: cannot be written: "):
        ensure_key(tmp_path / "file" / "edge.key")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("edge-1", "edge-1"),
        ("Edge_1.Example.org", "edge-1.example.org"),
        ("10.0.0.1:50080", "10.0.0.1-50080"),
        ("a: b/c", "a-b-c"),
        ("--å.b--", "b"),
        ("x" * 100, "x" * 63),
        ("x" * 62 + "--y", "x" * 62),
    ],
)
def test_a_name_that_would_break_the_listing_of_executors_is_made_harmless(text: str, name: str) -> None:
    assert executor_name(text) == name


@pytest.mark.parametrize("text", ["", ":::", "---", "åäö"])
def test_a_name_of_which_nothing_is_left_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="no name for an executor"):
        executor_name(text)
