"""The output of a job, from streams that break, lie, or are gone with their pod."""

import math
from collections.abc import Mapping

import attrs
import pytest

pytest.importorskip("kubernetes")

from container_executor_kube.reader import TRIES, JobReader, open_reader
from container_executor_kube.sources import Source

from container_executor.models import Handle, LogChunk, LogLine
from container_executor.streams import Endpoint, Stream, Streams
from container_executor.testing.bench import joined

RUNNING = Source("pod", "rank-0", begun=True, ended=False)
ENDED = attrs.evolve(RUNNING, ended=True)
FIRST = b"2026-11-21T16:00:01.000000000Z one\n"
SECOND = b"2026-11-21T16:00:01.500000000Z two\n"


class Answers(Streams):
    """Streams that bring what a test says, one answer each time one is opened: what it holds, and its error; None never ends."""

    def __init__(self, *answers: tuple[bytes, str | None]) -> None:
        super().__init__()
        self.answers = list(answers)
        self.opened: list[str] = []

    def open(self, key: str, endpoint: Endpoint, path: str, *, on_data: object = None) -> Stream:
        data, error = self.answers.pop(0)
        self.opened.append(path)
        stream = self._streams[key] = Stream(
            status=200, ended=error is not None, error=error or "", heard=-math.inf, data=bytearray(data)
        )
        return stream

    def take(self, key: str, limit: int) -> bytes:
        stream = self._streams[key]
        taken = bytes(stream.data[:limit])
        del stream.data[:limit]
        return taken


def reader_of(streams: Streams, sources: list[Mapping[int, Source] | None]) -> JobReader:
    return open_reader(
        Handle("job", "uid"),
        "",
        streams=streams,
        endpoint=lambda: Endpoint("http://nowhere"),
        path=lambda pod: f"/{pod}",
        look=lambda: sources.pop(0) if len(sources) > 1 else sources[0],
        known_ended=lambda _rank: False,
        on_data=lambda: None,
    )


def read(reader: JobReader, calls: int = 12) -> tuple[bytes, list[str], LogChunk]:
    """Read until the end; return the output, the reasons of gaps and the last chunk."""
    lines: list[LogLine] = []
    gaps: list[str] = []
    chunk = LogChunk()
    while not chunk.end and calls > 0:
        chunk = reader.read(100_000)
        calls -= 1
        lines += chunk.lines
        gaps += [gap.reason for gap in chunk.gaps]
    return joined(lines), gaps, chunk


def test_the_end_of_a_stream_is_not_the_end_of_the_program() -> None:
    streams = Answers((FIRST, ""), (FIRST + SECOND, ""), (FIRST + SECOND, ""), (FIRST + SECOND, ""))

    output, gaps, last = read(reader_of(streams, [{0: RUNNING}, {0: RUNNING}, {0: ENDED}]))

    assert (output, gaps, last.end) == (b"one\ntwo\n", [], True)
    assert "sinceTime=2026-11-21T16%3A00%3A00Z" in streams.opened[-1]


def test_a_stream_that_ends_too_early_after_the_program_is_read_on() -> None:
    streams = Answers((FIRST + SECOND[:33], ""), (FIRST + SECOND, ""), (FIRST + SECOND, ""))

    output, gaps, last = read(reader_of(streams, [{0: ENDED}]))

    assert (output, gaps, last.end) == (b"one\ntwo\n", [], True)


def test_a_stream_that_breaks_is_opened_anew() -> None:
    streams = Answers((FIRST + SECOND[:35], "connection reset"), (FIRST + SECOND, ""), (FIRST + SECOND, ""))

    output, gaps, last = read(reader_of(streams, [{0: ENDED}]))

    assert (output, gaps, last.end) == (b"one\ntwo\n", [], True)


def test_words_of_the_kubelet_in_the_place_of_a_log_are_tried_again() -> None:
    streams = Answers((b"unable to retrieve container logs for containerd://1", ""), (FIRST, ""), (FIRST, ""))

    output, gaps, last = read(reader_of(streams, [{0: ENDED}]))

    assert (output, gaps, last.end) == (b"one\n", [], True)


def test_a_log_that_the_node_has_lost_is_a_gap_and_an_end() -> None:
    streams = Answers(*[(b"unable to retrieve container logs", "")] * TRIES)

    output, gaps, last = read(reader_of(streams, [{0: ENDED}]))

    assert (output, last.end) == (b"", True)
    assert "unable to retrieve" in gaps[0]


def test_a_log_that_was_rotated_after_its_last_reading_ends_with_a_gap() -> None:
    streams = Answers((FIRST, ""), *[(b"", "")] * TRIES)

    output, gaps, last = read(reader_of(streams, [{0: ENDED}]))

    assert (output, last.end) == (b"one\n", True)
    assert gaps == ["the node had rotated the log before it was read, and may have cut a line in two"]


def test_a_reading_that_breaks_off_cleanly_before_it_brings_anything_is_no_end() -> None:
    streams = Answers((FIRST, ""), (b"", ""), (FIRST + SECOND, ""), (FIRST + SECOND, ""))

    output, gaps, last = read(reader_of(streams, [{0: ENDED}]))

    assert (output, gaps, last.end) == (b"one\ntwo\n", [], True)


def test_output_that_went_with_its_pod_is_a_gap() -> None:
    lost = Source("", "rank-0", begun=False, ended=True, lost=True)

    broken = read(reader_of(Answers((FIRST, "connection reset")), [{0: RUNNING}, {0: lost}]))
    whole = read(reader_of(Answers((FIRST, "")), [{0: RUNNING}, {0: lost}]))

    assert (broken[0], len(broken[1]), broken[2].end) == (b"one\n", 1, True)
    assert (whole[0], whole[1], whole[2].end) == (b"one\n", [], True)


@pytest.mark.parametrize("seen", [None, {}, {0: Source("pod", "rank-0", begun=False, ended=False)}])
def test_what_is_not_there_yet_is_no_end(seen: Mapping[int, Source] | None) -> None:
    output, gaps, last = read(reader_of(Answers(), [seen]), calls=2)

    assert (output, gaps, last.end) == (b"", [], False)


@pytest.mark.parametrize(("known_ended", "whole", "opened"), [(True, b"one\ntwo\n", 3), (False, b"one\n", 1)])
def test_a_stream_that_hangs_is_opened_anew_once_its_program_has_ended(
    *, known_ended: bool, whole: bytes, opened: int
) -> None:
    streams = Answers((FIRST, None), (FIRST + SECOND, ""), (FIRST + SECOND, ""))
    reader = reader_of(streams, [{0: ENDED}])
    reader.known_ended = lambda _rank: known_ended

    output, gaps, last = read(reader)

    assert (output, gaps, last.end) == (whole, [], known_ended)
    assert len(streams.opened) == opened


def test_a_second_that_comes_again_is_passed_over_in_one_reading() -> None:
    burst = b"".join(b"2026-11-21T16:00:01.%09dZ %d\n" % (number, number) for number in range(5_000))
    streams = Answers((burst, ""), (burst + b"2026-11-21T16:00:01.900000000Z late\n", None))
    reader = reader_of(streams, [{0: RUNNING}])
    assert len(reader.read(len(burst)).lines) == 5_000
    assert not reader.read(10_000).lines, "the end of the first stream"

    again = reader.read(10_000)

    assert [line.data for line in again.lines] == [b"late"]
