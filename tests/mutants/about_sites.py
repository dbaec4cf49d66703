"""Backends that are wrong about what else there is: marks, ranks, mounts, images, memory, the engine itself."""

import os
import tempfile
import time
from collections.abc import Callable, Collection, Mapping
from datetime import timedelta
from threading import Event
from typing import Any, ClassVar

import attrs
from container_executor_process import ProcessBackend
from container_executor_spool import SpoolBackend

from container_executor.backend import LOG_LIMIT
from container_executor.errors import RejectedError, UnavailableError
from container_executor.models import (
    Capacity,
    Fault,
    Found,
    Handle,
    Health,
    JobSpec,
    JobState,
    JobStatus,
    LogChunk,
    Mount,
    Plan,
    Progress,
    RankStatus,
)
from container_executor.testing import ScriptedBackend
from tests.mutants.about_jobs import wait_for_ends
from tests.mutants.breaking import breaks

# --- adoption ---------------------------------------------------------------------------------------------------------


@breaks("test_the_list_has_every_job_with_its_mark")
class ForgetsTheMark(SpoolBackend):
    def list_jobs(self) -> Collection[Found]:
        return [attrs.evolve(found, mark=attrs.evolve(found.mark, attempt=0)) for found in super().list_jobs()]


@breaks("test_jobs_go_on_when_the_backend_is_closed")
class ClosingEndsJobs(SpoolBackend):
    def close(self) -> None:
        for found in self.list_jobs() if self.root.exists() else ():
            self.cancel(found.handle, force=True)


# --- ranks ------------------------------------------------------------------------------------------------------------


class WrongRanks(ProcessBackend):
    """A backend with ranks that says something else about them."""

    def status(self, handles: Collection[Handle]) -> Mapping[str, JobStatus]:
        return {job_id: self.said(status) for job_id, status in super().status(handles).items()}

    def said(self, status: JobStatus) -> JobStatus:
        raise NotImplementedError


@breaks("test_each_rank_knows_who_it_is")
class CallsThemAllZero(ProcessBackend):
    def logs(self, handle: Handle, cursor: str = "", *, limit: int = LOG_LIMIT) -> LogChunk:
        chunk = super().logs(handle, cursor, limit=limit)
        return attrs.evolve(chunk, lines=tuple(attrs.evolve(line, rank=0) for line in chunk.lines))


@breaks("test_a_job_succeeded_when_every_rank_did")
class KnowsOneRank(WrongRanks):
    def said(self, status: JobStatus) -> JobStatus:
        return attrs.evolve(status, ranks=status.ranks[:1])


@breaks("test_the_lines_of_each_rank_are_complete_and_in_order")
class SortsLines(ProcessBackend):
    def logs(self, handle: Handle, cursor: str = "", *, limit: int = LOG_LIMIT) -> LogChunk:
        chunk = super().logs(handle, cursor, limit=limit)
        return attrs.evolve(chunk, lines=tuple(sorted(chunk.lines, key=lambda line: line.data)))


@breaks("test_the_rank_that_failed_is_named")
class BlamesTheFirst(WrongRanks):
    def said(self, status: JobStatus) -> JobStatus:
        codes = sorted((rank.exit_code or 0 for rank in status.ranks), reverse=True)
        ranks = [
            attrs.evolve(rank, exit_code=code, state=JobState.FAILED) if code else rank
            for rank, code in zip(status.ranks, codes, strict=True)
        ]
        return attrs.evolve(status, ranks=tuple(ranks))


@breaks("test_one_rank_that_ended_is_not_the_end")
class OneEndIsTheEnd(WrongRanks):
    def said(self, status: JobStatus) -> JobStatus:
        ended = any(rank.state is JobState.SUCCEEDED for rank in status.ranks)
        return attrs.evolve(status, state=JobState.SUCCEEDED) if ended else status


@breaks("test_cancel_stops_every_rank")
class CancelsOneRank(WrongRanks):
    def said(self, status: JobStatus) -> JobStatus:
        if not status.state.ended:
            return status
        rest = [attrs.evolve(rank, state=JobState.RUNNING, exit_code=None) for rank in status.ranks[1:]]
        return attrs.evolve(status, ranks=(*status.ranks[:1], *rest))


@breaks("test_four_ranks_meet_at_the_master_address")
class MasterIsNowhere(ProcessBackend):
    def plan(self, job: JobSpec) -> Plan:
        return super().plan(attrs.evolve(job, argv=("env", "MASTER_ADDR=256.0.0.1", *job.argv)))


@breaks("test_two_nodes_are_two_machines")
class OneNodeForAll(ScriptedBackend):
    def status(self, handles: Collection[Handle]) -> Mapping[str, JobStatus]:
        return {job_id: _on_one_node(status) for job_id, status in super().status(handles).items()}


def _on_one_node(status: JobStatus) -> JobStatus:
    return attrs.evolve(status, ranks=tuple(attrs.evolve(rank, node="n1") for rank in status.ranks))


@breaks("test_no_rank_starts_before_the_release")
class StartsOneByOne(ScriptedBackend):
    def submit(self, plan: Plan, *, lifetime: timedelta | None) -> Handle:
        handle = super().submit(plan, lifetime=lifetime)
        self.release(handle)
        return handle


@breaks("test_releasing_a_job_that_is_not_held_changes_nothing")
class ReleaseOnlyOnce(SpoolBackend):
    def release(self, handle: Handle) -> None:
        self.cancel(handle, force=True)
        wait_for_ends(self)


# --- memory -----------------------------------------------------------------------------------------------------------


class WrongReason(ScriptedBackend):
    """A backend that says something else about how a rank ended."""

    def status(self, handles: Collection[Handle]) -> Mapping[str, JobStatus]:
        return {job_id: self._said(status) for job_id, status in super().status(handles).items()}

    def _said(self, status: JobStatus) -> JobStatus:
        rank = self.of(status.ranks[0])
        return attrs.evolve(status, state=rank.state, ranks=(rank,))

    def of(self, rank: RankStatus) -> RankStatus:
        raise NotImplementedError


@breaks("test_a_program_beyond_its_memory_is_out_of_memory")
class CallsItAnExit(WrongReason):
    def of(self, rank: RankStatus) -> RankStatus:
        return attrs.evolve(rank, failure=None)


@breaks("test_a_child_out_of_memory_is_named_where_the_engine_tells")
class FailsWithoutTheReason(WrongReason):
    def of(self, rank: RankStatus) -> RankStatus:
        return attrs.evolve(rank, state=JobState.FAILED) if rank.state.ended else rank


@breaks("test_a_program_within_its_memory_is_left_alone")
class CountsInTheWrongUnit(WrongReason):
    def of(self, rank: RankStatus) -> RankStatus:
        return attrs.evolve(rank, exit_code=137, state=JobState.FAILED) if rank.state.ended else rank


# --- mounts -----------------------------------------------------------------------------------------------------------


class WrongMounts(ProcessBackend):
    """A backend that mounts something else."""

    def plan(self, job: JobSpec) -> Plan:
        return super().plan(attrs.evolve(job, mounts=self.change(job.mounts)))

    def change(self, mounts: tuple[Mount, ...]) -> tuple[Mount, ...]:
        raise NotImplementedError


@breaks("test_a_job_reads_what_is_in_a_mounted_directory")
class MountsNothing(WrongMounts):
    def change(self, mounts: tuple[Mount, ...]) -> tuple[Mount, ...]:
        return ()


@breaks("test_what_a_job_writes_stays", "test_all_ranks_share_a_mount")
class MountsACopy(WrongMounts):
    def change(self, mounts: tuple[Mount, ...]) -> tuple[Mount, ...]:
        return tuple(attrs.evolve(mount, source=tempfile.mkdtemp()) for mount in mounts)


@breaks("test_what_a_job_writes_belongs_to_the_user_of_the_site")
class WritesAsSomebodyElse(ProcessBackend):
    knobs: ClassVar[Mapping[str, Any]] = {"file_owner": os.getuid() + 1}


@breaks("test_a_job_cannot_write_into_a_read_only_mount")
class MountsAllWritable(WrongMounts):
    def change(self, mounts: tuple[Mount, ...]) -> tuple[Mount, ...]:
        return tuple(attrs.evolve(mount, read_only=False) for mount in mounts)


@breaks("test_a_mount_may_lie_inside_another")
class MountsTheFirst(WrongMounts):
    def change(self, mounts: tuple[Mount, ...]) -> tuple[Mount, ...]:
        return mounts[:1]


# --- images -----------------------------------------------------------------------------------------------------------


class WrongRefusal(ScriptedBackend):
    """A backend that does not say which kind of refusal it is."""

    def prepare(self, plan: Plan, report: Callable[[Progress], None], stop: Event) -> str | None:
        try:
            return super().prepare(plan, report, stop)
        except RejectedError as refused:
            raise RejectedError(str(refused)) from None

    def submit(self, plan: Plan, *, lifetime: timedelta | None) -> Handle:
        try:
            return super().submit(plan, lifetime=lifetime)
        except RejectedError as refused:
            raise RejectedError(str(refused)) from None


@breaks(
    "test_an_image_that_does_not_exist_is_named_as_the_reason",
    "test_an_image_without_a_shell_is_an_invalid_spec",
)
class JustSaysNo(WrongRefusal):
    pass


@breaks("test_the_image_that_ran_is_recorded")
class ForgetsTheImage(WrongReason):
    def of(self, rank: RankStatus) -> RankStatus:
        return attrs.evolve(rank, image_id="")


# --- the engine -------------------------------------------------------------------------------------------------------


@breaks("test_an_engine_that_answers_is_reachable")
class NeverReachable(SpoolBackend):
    def probe(self) -> Health:
        return Health(reachable=False)


@breaks("test_an_engine_that_is_away_is_named_with_its_fix")
class NoFix(SpoolBackend):
    def probe(self) -> Health:
        return attrs.evolve(super().probe(), faults=(Fault("it does not work", ""),))


@breaks("test_no_answer_is_no_guess")
class NoAnswerIsNothing(SpoolBackend):
    def status(self, handles: Collection[Handle]) -> Mapping[str, JobStatus]:
        try:
            return super().status(handles)
        except UnavailableError:
            return {}


@breaks("test_a_job_cannot_be_handed_to_an_engine_that_is_away")
class NoAnswerIsANo(SpoolBackend):
    def submit(self, plan: Plan, *, lifetime: timedelta | None) -> Handle:
        try:
            return super().submit(plan, lifetime=lifetime)
        except UnavailableError as away:
            raise RejectedError(str(away)) from away


@breaks("test_capacity_is_a_count_of_what_is_free")
class LessThanNothing(SpoolBackend):
    def capacity(self) -> Capacity | None:
        return Capacity(cpu=-500)


@breaks("test_no_more_is_free_than_there_is")
class MoreThanEverything(SpoolBackend):
    def capacity(self) -> Capacity | None:
        return Capacity(memory=2**40)

    def total(self) -> Capacity | None:
        return Capacity(memory=2**30)


@breaks("test_watching_ends_when_told_to")
class WatchesForEver(SpoolBackend):
    def watch(self, wake: Callable[[str], None], stop: Event) -> None:
        time.sleep(30)
