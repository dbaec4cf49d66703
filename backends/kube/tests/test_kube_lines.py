"""The log stream of a kubelet: what is new in it, from any place, however it is cut."""

from urllib.parse import unquote

import pytest

pytest.importorskip("kubernetes")

from container_executor_kube.lines import PIECE, WHOLE, Lines, Place, format_cursor, parse_cursor

from container_executor.models import LogLine
from container_executor.testing.bench import joined


def stamp(number: int) -> str:
    return f"2026-11-21T16:00:{number:02d}.123456789Z"


def logged(*lines: bytes) -> bytes:
    return b"".join(stamp(number).encode() + b" " + line for number, line in enumerate(lines, 1))


def read(data: bytes, place: Place, size: int = 1 << 20) -> tuple[list[LogLine], Lines, list[str]]:
    """Feed a stream in pieces and return all lines, the reader, and the reasons of gaps."""
    reader, lines, gaps = Lines(0, place), list[LogLine](), list[str]()
    for at in range(0, len(data), size):
        found, gap = reader.feed(data[at : at + size])
        lines += found
        gaps += [gap.reason] if gap else []
    return lines + reader.finish(), reader, gaps


@pytest.mark.parametrize("size", [1, 7, 30, 1000])
def test_lines_are_the_same_however_the_stream_is_cut(size: int) -> None:
    lines, _, gaps = read(logged(b"one\n", b"\n", b"  two  \n", b"last"), Place(), size)

    assert [(line.data, line.complete) for line in lines] == [
        (b"one", True),
        (b"", True),
        (b"  two  ", True),
        (b"last", False),
    ]
    assert gaps == []


def test_lines_that_come_again_are_left_out() -> None:
    lines, reader, gaps = read(logged(b"one\n", b"two\n", b"three\n"), Place(stamp(2)))

    assert joined(lines) == b"three\n"
    assert reader.place == Place(stamp(3), WHOLE)
    assert gaps == []


def test_reading_goes_on_exactly_from_every_place_of_a_log_whose_times_are_out_of_order() -> None:
    whole = [f"{stamp(number)} line {at}\n" for at, number in enumerate((10, 12, 11, 14, 13, 15, 16, 18, 17))]

    for cut in range(1, len(whole) + 1):
        before, reader, _ = read("".join(whole[:cut]).encode(), Place())
        (kept,) = parse_cursor(format_cursor([reader.place]), 1)
        since = unquote(kept.since().partition("=")[2])
        after, _, gaps = read("".join(line for line in whole if line[:19] >= since[:19]).encode(), kept)

        assert joined(before + after).decode().splitlines() == [line.split(" ", 1)[1].rstrip() for line in whole], cut
        assert gaps == []


def test_the_hour_that_comes_twice_is_no_disorder() -> None:
    summer, winter = "2026-10-25T02:59:59.000000000+02:00", "2026-10-25T02:00:00.000000000+01:00"
    _, reader, _ = read(f"{summer} one\n".encode(), Place())

    assert read(f"{summer} one\n{winter} two\n".encode(), reader.place)[0] == [LogLine(0, None, b"two", True)]
    lines, _, gaps = read(f"{winter} two\n".encode(), reader.place)
    assert (joined(lines), len(gaps)) == (b"two\n", 1)


def test_a_long_line_goes_on_where_it_was_left() -> None:
    line = bytes(range(97, 107)) * 5000
    whole = logged(b"first\n", line + b"\n", b"next\n")
    before, reader, _ = read(whole[:40_000], Place())
    assert not before[-1].complete
    assert len(before[-1].data) >= PIECE

    after, _, gaps = read(whole, reader.place)

    assert joined(before + after) == b"first\n" + line + b"\nnext\n"
    assert gaps == []


def test_a_log_that_does_not_reach_back_has_a_gap() -> None:
    lines, _, gaps = read(logged(b"one\n", b"two\n"), Place("2026-11-21T15:00:00.000000000Z"))

    assert joined(lines) == b"one\ntwo\n"
    assert len(gaps) == 1


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_stream_may_begin_inside_of_a_line_that_had_begun_before(size: int) -> None:
    lines, reader, gaps = read(b"the end of a long line\n" + logged(b"one\n", b"two\n"), Place(stamp(1)), size)

    assert [line.data for line in lines] == [b"two"]
    assert (reader.strange, gaps) == ("", [])


def test_trouble_of_the_kubelet_is_no_line_that_had_begun_before() -> None:
    words = b"unable to retrieve container logs for containerd://0123456789"
    for trouble in (words, words + b"\n", words + b"\nanother line of it\n"):
        lines, reader, _ = read(trouble, Place(stamp(1)))

        assert (lines, reader.strange[: len(words)]) == ([], words.decode())


def test_trouble_of_the_kubelet_is_no_output() -> None:
    words = b"unable to retrieve container logs for containerd://0123"

    lines, reader, _ = read(words, Place())

    assert lines == []
    assert reader.strange == words.decode()


def test_bytes_are_kept_as_they_are() -> None:
    lines, _, _ = read(logged(b"\x00\xff caf\xe9\r\n"), Place())

    assert lines[0].data == b"\x00\xff caf\xe9\r"


def test_a_cursor_is_read_as_it_was_written() -> None:
    places = [Place(stamp(1), 17), Place(), Place(stamp(2))]

    assert parse_cursor(format_cursor(places), 3) == places
    assert format_cursor([Place()]) == ""
    assert parse_cursor("", 2) == [Place(), Place()]
