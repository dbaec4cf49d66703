"""Output of jobs as text of the server's log."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from container_executor.execute.output.text import HOLD, Pending, Tail, render
from container_executor.models import Gap, LogChunk, LogLine


def text_of(*chunks: LogChunk, ranks: int = 1, progress: bool = False) -> str:
    pending, parts = Pending(), []
    for chunk in chunks:
        text, pending = render(chunk, Pending.from_json(pending.to_json()), ranks=ranks, progress=progress)
        parts.append(text)
    return "".join(parts)


def chunk(*pieces: bytes, rank: int = 0, complete: bool = True, end: bool = False) -> LogChunk:
    return LogChunk(tuple(LogLine(rank, "out", piece, complete) for piece in pieces), end=end)


def test_lines_of_one_rank_are_passed_on_as_they_are() -> None:
    assert text_of(chunk(b"one", b"", b"two")) == "one\n\ntwo\n"


def test_lines_of_several_ranks_bear_their_rank() -> None:
    assert text_of(chunk(b"a"), chunk(b"b", rank=1), ranks=2) == "[0] a\n[1] b\n"


def test_a_prompt_without_newline_is_seen_at_once() -> None:
    assert text_of(chunk(b"continue? ", complete=False)) == "continue? "


def test_unfinished_lines_of_several_ranks_are_never_mixed() -> None:
    parts = [chunk(b"he", complete=False), chunk(b"wor", rank=1, complete=False), chunk(b"llo"), chunk(b"ld", rank=1)]

    assert text_of(*parts, ranks=2) == "[0] hello\n[1] world\n"


def test_a_last_line_without_newline_is_not_lost() -> None:
    assert text_of(chunk(b"last", complete=False), LogChunk(end=True), ranks=2) == "[0] last\n"


@given(st.text(st.characters(exclude_characters="\0\r\n", exclude_categories=["Cs"]), max_size=40), st.data())
def test_characters_split_between_pieces_are_put_together_again(text: str, data: st.DataObject) -> None:
    raw = text.encode()
    cut = data.draw(st.integers(0, len(raw)))

    assert text_of(chunk(raw[:cut], complete=False), chunk(raw[cut:])) == text + "\n"


def test_bytes_that_are_no_text_are_shown_and_nul_is_dropped() -> None:
    every = bytes(byte for byte in range(256) if byte not in b"\r\n")

    text = text_of(chunk(every))

    assert "\0" not in text
    assert r"\x80" in text
    assert r"\xff" in text


def test_of_an_overwritten_line_only_its_last_state_is_kept() -> None:
    assert text_of(chunk(b"1%\r2%\r100%")) == "100%\n"
    assert text_of(chunk(b"windows line\r")) == "windows line\n"


def test_a_progress_bar_without_end_takes_bounded_room_and_shows_its_state() -> None:
    ticks = [chunk(b"%d%%\r" % tick, complete=False) for tick in range(50)]

    assert text_of(*ticks, LogChunk(end=True)) == "49%\n"
    assert text_of(*ticks[:3], progress=True) == "0%\n1%\n2%\n"


@pytest.mark.parametrize(("ranks", "label"), [(1, ""), (2, "[0] ")])
def test_a_progress_bar_that_returns_before_each_state_shows_those_that_are_whole(ranks: int, label: str) -> None:
    ticks = [chunk(piece, complete=False) for piece in (b"\r10%", b"\r2", b"0%\r", b"30%", b"\r\r40%")]

    shown = text_of(*ticks, LogChunk(end=True), ranks=ranks, progress=True)

    assert shown == "".join(f"{label}{state}\n" for state in ("10%", "20%", "30%", "40%"))


def test_a_huge_line_of_one_of_several_ranks_is_passed_on_in_pieces() -> None:
    text = text_of(chunk(b"x" * (HOLD + 1), complete=False), chunk(b"y"), ranks=2)

    assert text == "[0] " + "x" * (HOLD + 1) + "\n[0] y\n"


@pytest.mark.parametrize(("missing", "words"), [(12, "12 bytes"), (None, "output of rank 0 may be missing here")])
def test_a_gap_stands_where_the_output_is_missing(missing: int | None, words: str) -> None:
    lines = (LogLine(0, None, b"before"), LogLine(0, None, b"after"))

    text = text_of(LogChunk(lines, gaps=(Gap(0, before=1, missing=missing, reason="rotated"),)))

    before, notice, after = [line for line in text.split("\n") if line]
    assert (before, after) == ("before", "after")
    assert words in notice
    assert "rotated" in notice


def test_of_an_output_above_the_limit_the_tail_is_kept_with_a_notice() -> None:
    tail = Tail(10)
    for number in range(100):
        tail.add(f"{number:04}")

    text = tail.text()

    assert text.endswith("9700980099")
    assert "390 characters" in text
