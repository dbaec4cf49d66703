"""Backends that are wrong about the output of jobs and their end."""

import time

import attrs
from container_executor_spool import SpoolBackend

from container_executor.backend import LOG_LIMIT
from container_executor.models import Handle, LogChunk, LogLine
from tests.mutants.breaking import breaks


class WrongLines(SpoolBackend):
    """A spool that changes the lines."""

    def logs(self, handle: Handle, cursor: str = "", *, limit: int = LOG_LIMIT) -> LogChunk:
        return self.changed(super().logs(handle, cursor, limit=limit))

    def changed(self, chunk: LogChunk) -> LogChunk:
        return attrs.evolve(chunk, lines=tuple(self.line(line) for line in chunk.lines))

    def line(self, line: LogLine) -> LogLine:
        return line


@breaks("test_lines_arrive_in_order_and_end")
class DropsEmptyLines(WrongLines):
    def changed(self, chunk: LogChunk) -> LogChunk:
        return attrs.evolve(chunk, lines=tuple(line for line in chunk.lines if line.data))


@breaks("test_output_can_be_read_while_the_program_runs")
class OutputAfterTheEnd(SpoolBackend):
    def logs(self, handle: Handle, cursor: str = "", *, limit: int = LOG_LIMIT) -> LogChunk:
        chunk = super().logs(handle, cursor, limit=limit)
        ended = (self.root / self.owner / handle.job_id / "exit.json").exists()
        return chunk if ended else LogChunk(cursor=cursor)


@breaks("test_a_last_line_without_newline_is_kept")
class WholeLinesOnly(WrongLines):
    def changed(self, chunk: LogChunk) -> LogChunk:
        return attrs.evolve(chunk, lines=tuple(line for line in chunk.lines if line.complete))


@breaks("test_a_program_that_prints_nothing_has_an_end", "test_the_end_stays_the_end")
class EndsWithALine(WrongLines):
    def changed(self, chunk: LogChunk) -> LogChunk:
        return attrs.evolve(chunk, end=chunk.end and bool(chunk.lines))


@breaks("test_both_streams_arrive")
class CallsItAllOut(WrongLines):
    def line(self, line: LogLine) -> LogLine:
        return attrs.evolve(line, stream="out")


@breaks("test_large_output_is_complete_and_in_order")
class LosesALineBetweenCalls(SpoolBackend):
    def logs(self, handle: Handle, cursor: str = "", *, limit: int = LOG_LIMIT) -> LogChunk:
        chunk = super().logs(handle, cursor, limit=32_768)
        return attrs.evolve(chunk, lines=chunk.lines[1:]) if cursor else chunk


@breaks("test_a_reader_goes_on_from_any_cursor", "test_a_fresh_instance_reads_on_where_the_former_stopped")
class CursorInMemory(SpoolBackend):
    def logs(self, handle: Handle, cursor: str = "", *, limit: int = LOG_LIMIT) -> LogChunk:
        chunk = super().logs(handle, self.__dict__.get(cursor, ""), limit=limit)
        name = f"page {chunk.cursor}"
        self.__dict__[name] = chunk.cursor
        return attrs.evolve(chunk, cursor=name)


@breaks("test_no_line_of_two_streams_is_lost_or_repeated")
class DropsAnOvertakenLine(WrongLines):
    """Takes a line that is older than the one before it for one that was passed on."""

    def changed(self, chunk: LogChunk) -> LogChunk:
        return attrs.evolve(chunk, lines=tuple(line for line in chunk.lines if line.data != b"out 1999"))


@breaks("test_reading_again_from_an_old_cursor_gives_the_same")
class ReadsOnByItself(SpoolBackend):
    def logs(self, handle: Handle, cursor: str = "", *, limit: int = LOG_LIMIT) -> LogChunk:
        chunk = super().logs(handle, self.__dict__.get("place", ""), limit=limit)
        self.__dict__["place"] = chunk.cursor
        return chunk


@breaks("test_a_call_returns_about_what_it_may")
class KnowsNoLimit(SpoolBackend):
    def logs(self, handle: Handle, cursor: str = "", *, limit: int = LOG_LIMIT) -> LogChunk:
        if not (self.root / self.owner / handle.job_id / "exit.json").exists():
            return LogChunk(cursor=cursor)
        return super().logs(handle, cursor, limit=10**9)


@breaks("test_a_long_line_comes_in_pieces_of_one_line")
class CutsLongLines(WrongLines):
    def line(self, line: LogLine) -> LogLine:
        return attrs.evolve(line, data=line.data[:16_384])


@breaks("test_every_byte_arrives", "test_text_that_is_not_utf8_arrives")
class ThinksItIsText(WrongLines):
    def line(self, line: LogLine) -> LogLine:
        return attrs.evolve(line, data=line.data.decode(errors="replace").encode())


@breaks("test_a_call_never_waits_for_output")
class WaitsForOutput(SpoolBackend):
    def logs(self, handle: Handle, cursor: str = "", *, limit: int = LOG_LIMIT) -> LogChunk:
        place = self.root / self.owner / handle.job_id
        while place.exists() and not (place / "exit.json").exists():
            time.sleep(0.1)
        return super().logs(handle, cursor, limit=limit)


@breaks("test_the_output_of_an_unknown_job_is_empty_and_has_no_end")
class UnknownIsTheEnd(SpoolBackend):
    def logs(self, handle: Handle, cursor: str = "", *, limit: int = LOG_LIMIT) -> LogChunk:
        chunk = super().logs(handle, cursor, limit=limit)
        return chunk if (self.root / self.owner / handle.job_id).exists() else attrs.evolve(chunk, end=True)
