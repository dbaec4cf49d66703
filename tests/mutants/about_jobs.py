"""Backends that are wrong about plans, submits and states."""

import random
import subprocess
import time
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from threading import Event

import attrs
from container_executor_spool import SpoolBackend

from container_executor.errors import RejectedError
from container_executor.models import (
    FailureClass,
    Found,
    Handle,
    JobSpec,
    JobState,
    JobStatus,
    Plan,
    Progress,
    RankStatus,
)
from tests.mutants.breaking import breaks


@breaks("test_a_plan_is_json_that_a_person_can_read")
class TupleInPlan(SpoolBackend):
    def plan(self, job: JobSpec) -> Plan:
        plan = super().plan(job)
        return attrs.evolve(plan, request={**plan.request, "argv": job.argv})


@breaks("test_equal_jobs_have_equal_plans")
class PlanInOrderOfTheVariables(SpoolBackend):
    def plan(self, job: JobSpec) -> Plan:
        plan = super().plan(job)
        return attrs.evolve(plan, request={**plan.request, "env": {**job.env, **plan.request["env"]}})


@breaks("test_different_jobs_have_different_plans")
class PlanWithoutVariables(SpoolBackend):
    def plan(self, job: JobSpec) -> Plan:
        return attrs.evolve(super().plan(job), request={"argv": list(job.argv)})


@breaks("test_planning_asks_nothing_of_the_engine")
class PlanThatLooks(SpoolBackend):
    def plan(self, job: JobSpec) -> Plan:
        self.list_jobs()
        return super().plan(job)


@breaks("test_what_cannot_run_is_refused_with_the_path_of_its_field")
class PlanThatIgnores(SpoolBackend):
    def plan(self, job: JobSpec) -> Plan:
        return super().plan(attrs.evolve(job, processes_per_node=1, gpus=0, mounts=()))


@breaks("test_submit_returns_a_handle")
class NoNativeId(SpoolBackend):
    def submit(self, plan: Plan, *, lifetime: timedelta | None) -> Handle:
        return attrs.evolve(super().submit(plan, lifetime=lifetime), native_id="")


def wait_for_ends(spool: SpoolBackend) -> None:
    """Wait for the end of every job: on a busy machine a keeper takes its time, and the fault must show at once."""
    deadline = time.monotonic() + 60
    home = spool.root / spool.owner
    while any(not (path.parent / "exit.json").exists() for path in home.glob("ce-*/job.json")):
        assert time.monotonic() < deadline, "a job of the spool does not end"
        time.sleep(0.05)


def run_again(plan: Plan) -> None:
    """Run a job's program a second time."""
    subprocess.run(plan.request["argv"], check=False)


@breaks("test_a_job_that_was_submitted_twice_runs_once")
class RunsAtEachSubmit(SpoolBackend):
    def submit(self, plan: Plan, *, lifetime: timedelta | None) -> Handle:
        if (self.root / self.owner / plan.job_id).exists():
            run_again(plan)
        return super().submit(plan, lifetime=lifetime)


@breaks("test_a_job_that_eight_submit_at_once_runs_once")
class LooksThenLeaps(SpoolBackend):
    def submit(self, plan: Plan, *, lifetime: timedelta | None) -> Handle:
        existed = (self.root / self.owner / plan.job_id).exists()
        time.sleep(0.3)
        if not existed and (self.root / self.owner / plan.job_id).exists():
            run_again(plan)
        return super().submit(plan, lifetime=lifetime)


@breaks(
    "test_a_job_that_a_fresh_instance_submits_again_runs_once",
    "test_a_fresh_instance_knows_how_a_job_ended",
    "test_a_fresh_instance_can_cancel_and_remove",
    "test_a_job_outlives_the_program_that_submitted_it",
)
class KnowsOnlyItsOwn(SpoolBackend):
    def submit(self, plan: Plan, *, lifetime: timedelta | None) -> Handle:
        if (self.root / self.owner / plan.job_id).exists() and plan.job_id not in self._known():
            run_again(plan)
        self._known().add(plan.job_id)
        return super().submit(plan, lifetime=lifetime)

    def status(self, handles: Collection[Handle]) -> Mapping[str, JobStatus]:
        return super().status([handle for handle in handles if handle.job_id in self._known()])

    def list_jobs(self) -> Collection[Found]:
        return [found for found in super().list_jobs() if found.handle.job_id in self._known()]

    def _known(self) -> set[str]:
        known: set[str] = self.__dict__.setdefault("known", set())
        return known


@breaks("test_a_job_that_has_ended_is_never_started_again")
class StartsWhatHasEnded(SpoolBackend):
    def submit(self, plan: Plan, *, lifetime: timedelta | None) -> Handle:
        if (self.root / self.owner / plan.job_id / "exit.json").exists():
            run_again(plan)
        return super().submit(plan, lifetime=lifetime)


@breaks("test_the_next_launch_is_a_job_of_its_own")
class ForgetsTheLaunch(SpoolBackend):
    def plan(self, job: JobSpec) -> Plan:
        return super().plan(attrs.evolve(job, mark=attrs.evolve(job.mark, launch=1)))


@breaks("test_eight_jobs_at_once_each_have_their_own_end")
class OneAnswerForAll(SpoolBackend):
    def submit(self, plan: Plan, *, lifetime: timedelta | None) -> Handle:
        handle = super().submit(plan, lifetime=lifetime)
        self.__dict__.setdefault("first", handle)
        return handle

    def status(self, handles: Collection[Handle]) -> Mapping[str, JobStatus]:
        seen = super().status([self.__dict__["first"]])
        return {handle.job_id: status for handle in handles for status in seen.values()}


@breaks(
    "test_a_job_of_that_name_that_is_not_ours_is_never_adopted",
    "test_nobody_lists_the_jobs_of_another_owner",
    "test_nobody_touches_the_jobs_of_another_owner",
)
class NobodyOwnsAnything(SpoolBackend):
    def _home(self) -> Path:
        home = self.root / "all"
        home.mkdir(exist_ok=True)
        return home


@breaks("test_preparing_again_gives_the_same_image")
class AnotherImageEachTime(SpoolBackend):
    def prepare(self, plan: Plan, report: Callable[[Progress], None], stop: Event) -> str | None:
        return f"image@{random.random()}"


@breaks("test_preparing_returns_early_when_told_to_stop")
class HalfAnImage(SpoolBackend):
    def prepare(self, plan: Plan, report: Callable[[Progress], None], stop: Event) -> str | None:
        if self.__dict__.get("half"):
            raise RejectedError("the image in the cache is damaged", failure="image_not_found")
        self.__dict__["half"] = stop.is_set()
        return None


class WrongStatus(SpoolBackend):
    """A spool that says something else about its rank."""

    def status(self, handles: Collection[Handle]) -> Mapping[str, JobStatus]:
        return {job_id: self.said(status) for job_id, status in super().status(handles).items()}

    def said(self, status: JobStatus) -> JobStatus:
        rank = self.of(status.ranks[0])
        return attrs.evolve(status, state=rank.state, ranks=(rank,))

    def of(self, rank: RankStatus) -> RankStatus:
        return rank


@breaks("test_a_program_that_ends_with_zero_succeeded")
class NoExitCode(WrongStatus):
    def of(self, rank: RankStatus) -> RankStatus:
        return attrs.evolve(rank, exit_code=None)


@breaks("test_a_job_that_the_engine_does_not_have_is_left_out")
class AbsentIsDone(SpoolBackend):
    def status(self, handles: Collection[Handle]) -> Mapping[str, JobStatus]:
        return {handle.job_id: JobStatus(JobState.SUCCEEDED) for handle in handles} | dict(super().status(handles))


@breaks("test_the_status_of_no_jobs_is_empty")
class NothingMeansEverything(SpoolBackend):
    def status(self, handles: Collection[Handle]) -> Mapping[str, JobStatus]:
        return super().status(handles) or {next(iter(handles)).job_id: JobStatus(JobState.PENDING)}


@breaks("test_one_call_answers_for_many_jobs")
class OneAtATime(SpoolBackend):
    def status(self, handles: Collection[Handle]) -> Mapping[str, JobStatus]:
        return super().status(list(handles)[:1])


@breaks("test_a_job_that_runs_has_no_exit_code_yet")
class ZeroBeforeTheEnd(WrongStatus):
    def of(self, rank: RankStatus) -> RankStatus:
        return attrs.evolve(rank, exit_code=rank.exit_code or 0)


@breaks("test_times_are_in_utc_and_in_order")
class LocalTime(WrongStatus):
    def of(self, rank: RankStatus) -> RankStatus:
        return attrs.evolve(rank, ended=rank.ended and rank.ended.astimezone(timezone(timedelta(hours=2))))


@breaks("test_an_end_comes_out_as_the_outcome_table_says")
class Guesses137(WrongStatus):
    def of(self, rank: RankStatus) -> RankStatus:
        return attrs.evolve(rank, failure=FailureClass.OOM) if rank.exit_code == 137 else rank


@breaks("test_a_shell_line_passes_on_how_its_child_ended")
class GuessesCancelled(WrongStatus):
    def of(self, rank: RankStatus) -> RankStatus:
        return attrs.evolve(rank, state=JobState.CANCELLED) if (rank.exit_code or 0) > 128 else rank


@breaks("test_an_end_does_not_change_any_more")
class EndsNow(WrongStatus):
    def of(self, rank: RankStatus) -> RankStatus:
        return attrs.evolve(rank, ended=datetime.now(UTC))
