"""Docker's log stream is read exactly: whole lines, lost newlines, and any place in it."""

from datetime import timedelta

from container_executor_docker.frames import Place, Skip, format_cursor, leave_out, parse_cursor, pass_on, split

from container_executor.models import LogLine

OUT, ERR = 1, 2


def moment(number: int) -> str:
    return f"2026-01-02T03:04:05.{number:09}Z"


def frame(number: int, text: str, stream: int = OUT, time: str = "") -> bytes:
    payload = f"{time or moment(number)} {text}".encode()
    return bytes([stream, 0, 0, 0]) + len(payload).to_bytes(4, "big") + payload


def read(data: bytes, place: Place | None = None, *, mend: bool = True) -> tuple[list[LogLine], Place]:
    """Read all of a stream that was opened at *place*."""
    start = place or Place()
    frames, rest = split(data, 0)
    assert rest == b""
    new, _, _ = leave_out(frames, Skip.to(start))
    return pass_on(start, new, mend=mend)


def text(lines: list[LogLine], stream: str = "out") -> bytes:
    return b"".join(line.data + b"\n" * line.complete for line in lines if line.stream == stream)


def test_frames_may_be_cut_anywhere() -> None:
    data = frame(1, "one\n") + frame(2, "two\n")

    for cut in range(len(data)):
        first, rest = split(data[:cut], 0)
        second, nothing = split(rest + data[cut:], 0)
        assert [found.line.data for found in (*first, *second)] == [b"one", b"two"]
        assert nothing == b""


def test_a_newline_that_docker_lost_after_a_long_line_is_put_back() -> None:
    lines, place = read(frame(1, "xxx") + frame(1, "yyy") + frame(2, "next\n"))

    assert text(lines) == b"xxxyyy\nnext\n"
    assert all(last.whole for last in place.frames.values())


def test_pieces_of_a_line_with_times_of_their_own_are_one_line_where_no_newline_is_lost() -> None:
    lines, place = read(frame(1, "xxx") + frame(2, "yyy\n") + frame(3, "next\n"), mend=False)

    assert text(lines) == b"xxxyyy\nnext\n"
    assert all(last.whole for last in place.frames.values())


def test_a_place_in_a_log_with_times_of_another_zone_is_found_again() -> None:
    lines, place = read(frame(1, "one\n", time="2026-01-02T05:34:05.000000001+02:30"))

    assert text(lines) == b"one\n"
    assert (place.latest, place.query(timedelta())) == (moment(1), "1767323045.000000001")


def test_the_engine_s_words_of_a_fault_are_no_output() -> None:
    fault = bytes([3, 0, 0, 0]) + (5).to_bytes(4, "big") + b"Error"

    frames, rest = split(frame(1, "one\n") + fault, 0)

    assert [found.line.data for found in frames] == [b"one"]
    assert rest == fault, "a stream that ends with a rest is read again from there"


def test_the_other_stream_does_not_end_a_line() -> None:
    lines, _ = read(frame(1, "xxx") + frame(2, "oops\n", ERR) + frame(1, "yyy") + frame(3, "next\n"))

    assert text(lines) == b"xxxyyy\nnext\n"
    assert text(lines, "err") == b"oops\n"


def test_a_last_line_without_newline_stays_without() -> None:
    lines, _ = read(frame(1, "one\n") + frame(2, "two"))

    assert text(lines) == b"one\ntwo"


def test_reading_goes_on_exactly_from_every_place() -> None:
    pieces = [
        (1, "a\n", OUT),
        (2, "b\n", OUT),
        (2, "c\n", ERR),
        (3, "xxx", OUT),
        (4, "oops\n", ERR),
        (3, "yyy", OUT),
        (6, "d\n", OUT),
        (5, "older\n", ERR),
        (8, "e\n", ERR),
        (7, "older too\n", OUT),
        (9, "f", OUT),
    ]
    whole, _ = read(b"".join(frame(*piece) for piece in pieces))

    for cut in range(len(pieces) + 1):
        first, place = read(b"".join(frame(*piece) for piece in pieces[:cut]))
        (kept,) = parse_cursor(format_cursor([place]), 1)
        since = kept.query(timedelta(seconds=1))
        again = b"".join(frame(*piece) for piece in pieces if since <= f"1767323045.{piece[0]:09}")
        rest, _ = read(again, kept)
        for stream in ("out", "err"):
            assert text([*first, *rest], stream) == text(whole, stream), f"cut after {cut} frames"


def test_what_docker_rotated_away_is_a_gap_and_nothing_is_doubled() -> None:
    _, place = read(frame(1, "a\n") + frame(2, "b\n"))
    frames, _ = split(frame(5, "e\n") + frame(6, "f\n"), 0)

    new, skip, gap = leave_out(frames, Skip.to(place))

    assert [found.line.data for found in new] == [b"e", b"f"]
    assert gap is not None
    assert gap.reason
    assert skip.left == 0


def test_a_place_asks_docker_for_its_own_moment() -> None:
    _, place = read(frame(7, "a\n"))

    assert Place().query(timedelta(seconds=1)) == "0"
    assert place.query(timedelta()) == "1767323045.000000007"
    assert place.query(timedelta(seconds=1)) == "1767323044.000000007"
