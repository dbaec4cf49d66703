"""How much output is read at once and how often, and what of an output that is too long is sent."""

import pytest

from container_executor.execute.output.excerpt import TAIL, Excerpt, Place
from container_executor.execute.output.pace import BATCH, BEAT, LARGEST, QUIET_LIMIT, Pace, next_entry
from container_executor.models import LogChunk, LogLine


def test_entries_grow_while_the_server_is_slow_and_shrink_at_once() -> None:
    slow = Pace()
    sizes = [(slow := slow.after_entry(2.0)).batch for _ in range(5)]

    assert sizes == [2 * BATCH, 4 * BATCH, LARGEST, LARGEST, LARGEST]
    assert slow.after_entry(0.2).batch == BATCH


@pytest.mark.parametrize(("live", "longest"), [(1, QUIET_LIMIT), (80, QUIET_LIMIT), (1000, 62.5)])
def test_a_silent_job_is_asked_less_and_less_often(live: int, longest: float) -> None:
    pace, waits = Pace(), list[float]()
    for _ in range(20):
        pace = pace.after_reading(silent=True, live=live)
        waits.append(pace.quiet)

    assert waits == sorted(waits)
    assert waits[-1] == pytest.approx(longest)
    assert pace.after_reading(silent=False, live=live).quiet < 0.1
    assert pace.last_quiet < 0.3


def test_small_entries_wait_for_the_beat_and_full_ones_do_not() -> None:
    assert next_entry(100.0, 10) == 100.0 + BEAT
    assert next_entry(100.0, BATCH) == 100.0


def chunk(text: str, cursor: str, *, end: bool = False) -> LogChunk:
    lines = tuple(LogLine(rank=0, stream=None, data=line.encode(), complete=True) for line in text.splitlines())
    return LogChunk(lines=lines, cursor=cursor, end=end, gaps=())


def test_an_output_below_the_limit_is_sent_as_it_comes() -> None:
    excerpt = Excerpt(1, 10 * TAIL, Place())

    part = excerpt.take(chunk("one\ntwo", "2"), sent=0, moment=0.0)

    assert part is not None
    assert (part.text, part.place.cursor) == ("one\ntwo\n", "2")
    assert excerpt.rest() is None


def test_the_tail_above_the_limit_is_sent_at_the_end_and_once() -> None:
    excerpt = Excerpt(1, 2 * TAIL, Place("head"))

    kept = [excerpt.take(chunk("x" * TAIL, str(n)), sent=TAIL, moment=0.0) for n in range(3)]
    last = excerpt.take(chunk("last", "end", end=True), sent=TAIL, moment=0.0)

    assert kept == [None, None, None]
    assert last is not None
    assert last.text.endswith("x\nlast\n")
    assert "characters of output left out here" in last.text
    assert len(last.text) < TAIL + 200
    assert last.place.cursor == "end"
    assert excerpt.rest() is None


def test_a_tail_whose_end_never_comes_is_not_lost() -> None:
    excerpt = Excerpt(1, 2 * TAIL, Place())
    excerpt.take(chunk("y" * TAIL, "1"), sent=TAIL, moment=0.0)

    rest = excerpt.rest()

    assert rest is not None
    assert rest.place.cursor == "1"
    assert excerpt.rest() is None
