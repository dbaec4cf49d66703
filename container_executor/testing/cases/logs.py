"""Output: complete, once, in order, from any cursor, and never waited for."""

from threading import Thread

from container_executor.models import LogChunk
from container_executor.testing.bench import Bench, joined, same, wait_for
from container_executor.testing.cases.base import Cases, Fresh
from container_executor.testing.cases.status import unknown_handle

_EVERY_BYTE = "".join(f"\\{number:03o}" for number in range(256))


class LogCases(Cases):
    def test_lines_arrive_in_order_and_end(self, bench: Bench) -> None:
        handle = bench.start("echo first; echo; echo '  second '")

        chunks = bench.follow(handle)

        lines = [line for chunk in chunks for line in chunk.lines]
        assert [line.data for line in lines] == [b"first", b"", b"  second "]
        assert all(line.complete and line.rank == 0 for line in lines)
        assert [chunk.end for chunk in chunks] == [False] * (len(chunks) - 1) + [True]

    def test_output_can_be_read_while_the_program_runs(self, bench: Bench) -> None:
        handle = bench.start("echo first; sleep 60")
        bench.running(handle)

        lines = wait_for(lambda: bench.read(handle), self.patience, "the first line of a program that runs on")

        assert joined(lines) == b"first\n"
        assert not bench.backend.logs(handle).end

    def test_a_last_line_without_newline_is_kept(self, bench: Bench) -> None:
        handle = bench.start("printf 'one\\ntwo'")

        lines = [line for chunk in bench.follow(handle) for line in chunk.lines]

        assert [(line.data, line.complete) for line in lines] == [(b"one", True), (b"two", False)]

    def test_a_program_that_prints_nothing_has_an_end(self, bench: Bench) -> None:
        assert joined([line for chunk in bench.follow(bench.start("true")) for line in chunk.lines]) == b""

    def test_both_streams_arrive(self, bench: Bench) -> None:
        handle = bench.start("echo one; echo two >&2")

        lines = [line for chunk in bench.follow(handle) for line in chunk.lines]

        streams = {line.data: line.stream for line in lines}
        assert streams in ({b"one": "out", b"two": "err"}, {b"one": None, b"two": None})

    def test_large_output_is_complete_and_in_order(self, bench: Bench) -> None:
        count = self.many_lines
        handle = bench.start(f"seq 1 {count}")

        output = bench.output(handle)

        same(output, _numbers(count))

    def test_a_reader_goes_on_from_any_cursor(self, bench: Bench, fresh: Fresh) -> None:
        handle = bench.start("seq 1 3000")
        chunks = bench.follow(handle, limit=4096)
        whole = [line for chunk in chunks for line in chunk.lines]

        cut = len(chunks) // 2
        before = [line for chunk in chunks[:cut] for line in chunk.lines]
        after = [line for chunk in bench.on(fresh()).follow(handle, chunks[cut - 1].cursor) for line in chunk.lines]

        assert len(chunks) > 1, "3000 lines with a limit of 4096 bytes cannot come in one chunk"
        same(joined(whole), _numbers(3000))
        same(joined(before + after), _numbers(3000))

    def test_no_line_of_two_streams_is_lost_or_repeated(self, bench: Bench, fresh: Fresh) -> None:
        count = 3000
        handle = bench.start(f"i=0; while [ $i -lt {count} ]; do echo out $i; echo err $i >&2; i=$((i + 1)); done")
        chunks = bench.follow(handle, limit=4096)

        for cut in range(0, len(chunks), max(1, len(chunks) // 6)):
            after = bench.on(fresh()).follow(handle, chunks[cut].cursor)
            printed = joined([line for chunk in (*chunks[: cut + 1], *after) for line in chunk.lines])
            for stream in (b"out", b"err"):
                found = b"".join(line for line in printed.splitlines(keepends=True) if line.startswith(stream))
                same(found, b"".join(b"%s %d\n" % (stream, number) for number in range(count)))

    def test_reading_again_from_an_old_cursor_gives_the_same(self, bench: Bench) -> None:
        handle = bench.start("echo one; echo two; echo three")
        once = bench.output(handle)

        assert bench.output(handle) == once == b"one\ntwo\nthree\n"

    def test_a_call_returns_about_what_it_may(self, bench: Bench) -> None:
        limit = 32_768
        handle = bench.start(f"seq 1 {self.many_lines}")

        chunks = bench.follow(handle, limit=limit)

        sizes = [len(joined(chunk.lines)) for chunk in chunks]
        assert max(sizes) <= 2 * limit, f"a limit of {limit} bytes gave chunks of {sizes}"

    def test_a_long_line_comes_in_pieces_of_one_line(self, bench: Bench) -> None:
        size = 600_000
        handle = bench.start(f"head -c {size} /dev/zero | tr '\\0' x; echo; echo next")

        lines = [line for chunk in bench.follow(handle) for line in chunk.lines]

        same(joined(lines), b"x" * size + b"\nnext\n")
        assert lines[-1].data == b"next"

    def test_every_byte_arrives(self, bench: Bench) -> None:
        handle = bench.start(("printf", _EVERY_BYTE))

        assert bench.output(handle) == bytes(range(256))

    def test_text_that_is_not_utf8_arrives(self, bench: Bench) -> None:
        handle = bench.start("printf '\\377\\376 caf\\351\\n\\303\\251\\n10%%\\r20%%\\r'")

        assert bench.output(handle) == b"\xff\xfe caf\xe9\n\xc3\xa9\n10%\r20%\r"

    def test_a_call_never_waits_for_output(self, bench: Bench) -> None:
        handle = bench.start("sleep 600")
        bench.running(handle)
        answers: list[LogChunk] = []
        Thread(target=lambda: answers.append(bench.backend.logs(handle)), daemon=True).start()

        wait_for(lambda: answers, self.patience, "the answer of logs about a silent program")

        assert answers[0].lines == ()
        assert not answers[0].end

    def test_the_output_of_an_unknown_job_is_empty_and_has_no_end(self, bench: Bench) -> None:
        chunk = bench.backend.logs(unknown_handle(bench))

        assert (chunk.lines, chunk.end) == ((), False)

    def test_the_end_stays_the_end(self, bench: Bench) -> None:
        handle = bench.start("echo only")
        last = bench.follow(handle)[-1]

        again = bench.backend.logs(handle, last.cursor)

        assert (again.lines, again.end) == ((), True)


def _numbers(count: int) -> bytes:
    """Return what ``seq 1 count`` prints."""
    return b"".join(b"%d\n" % number for number in range(1, count + 1))
