"""Backends that are wrong about programs: how they start, what they see, how they are stopped."""

import html
import json
import os
import sys
import threading
from collections.abc import Collection, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import attrs
from container_executor_spool import SpoolBackend

from container_executor.errors import RejectedError
from container_executor.models import OUTPUT_LIMIT, Found, Handle, JobSpec, JobState, JobStatus, Plan, RankStatus
from tests.mutants.about_jobs import WrongStatus, wait_for_ends
from tests.mutants.breaking import breaks

# --- stopping ---------------------------------------------------------------------------------------------------------


class BrokenKeeper(SpoolBackend):
    """A spool whose keeper has a fault."""

    fault: ClassVar[str]

    def _keeper(self, place: Path) -> list[str]:
        return [sys.executable, "-m", "tests.mutants.broken_keeper", self.fault, str(place)]


@breaks("test_cancel_stops_the_program")
class CancelsOnPaperOnly(SpoolBackend):
    def cancel(self, handle: Handle, *, force: bool = False) -> None:
        if force:
            super().cancel(handle, force=True)
        else:
            self.__dict__.setdefault("cancelled", set()).add(handle.job_id)

    def status(self, handles: Collection[Handle]) -> Mapping[str, JobStatus]:
        cancelled = self.__dict__.get("cancelled", ())
        seen = super().status(handles)
        return {job_id: _cancelled(status) if job_id in cancelled else status for job_id, status in seen.items()}


def _cancelled(status: JobStatus) -> JobStatus:
    return attrs.evolve(status, state=JobState.CANCELLED)


@breaks(
    "test_cancel_lets_a_child_of_the_shell_write_its_checkpoint",
    "test_cancel_lets_a_program_end_by_its_own_exit_code",
    "test_cancel_asks_and_does_not_wait",
)
class KillsAtOnce(BrokenKeeper):
    fault = "kill_at_once"


@breaks("test_force_stops_a_program_that_ignores_term", "test_a_program_that_ignores_term_is_killed_at_its_lifetime")
class NeverKills(BrokenKeeper):
    fault = "never_kill"


@breaks("test_cancel_reaches_grandchildren")
class ReachesChildrenOnly(BrokenKeeper):
    fault = "children_only"


@breaks("test_cancel_reaches_a_descendant_in_a_session_of_its_own")
class ReachesItsSessionOnly(BrokenKeeper):
    fault = "session_only"


@breaks("test_nothing_runs_on_when_the_program_has_ended")
class LeavesTheRest(BrokenKeeper):
    fault = "leave_the_rest"


@breaks("test_cancel_after_the_end_changes_nothing")
class LateCancelWins(WrongStatus):
    def of(self, rank: RankStatus) -> RankStatus:
        return attrs.evolve(rank, state=JobState.CANCELLED) if self.__dict__.get("asked") else rank

    def cancel(self, handle: Handle, *, force: bool = False) -> None:
        self.__dict__["asked"] = True
        super().cancel(handle, force=force)


@breaks("test_cancel_keeps_output_and_exit_code")
class CancelLosesTheExitCode(WrongStatus):
    def of(self, rank: RankStatus) -> RankStatus:
        return attrs.evolve(rank, exit_code=None) if rank.exit_code == 143 else rank


@breaks("test_cancel_touches_no_other_job")
class CancelsThemAll(SpoolBackend):
    def cancel(self, handle: Handle, *, force: bool = False) -> None:
        for found in self.list_jobs():
            super().cancel(found.handle, force=force)
        wait_for_ends(self)


@breaks("test_nothing_happens_to_an_unknown_job")
class ComplainsAboutTheUnknown(SpoolBackend):
    def cancel(self, handle: Handle, *, force: bool = False) -> None:
        if not (self.root / self.owner / handle.job_id).exists():
            raise RejectedError("no such job")
        super().cancel(handle, force=force)


# --- removing ---------------------------------------------------------------------------------------------------------


@breaks("test_a_removed_job_is_absent_everywhere")
class ListsTheRemoved(SpoolBackend):
    def remove(self, handle: Handle) -> None:
        found = [found for found in super().list_jobs() if found.handle == handle]
        self.__dict__.setdefault("removed", []).extend(found)
        super().remove(handle)

    def list_jobs(self) -> Collection[Found]:
        removed: list[Found] = self.__dict__.get("removed", [])
        return [*super().list_jobs(), *removed]


@breaks("test_remove_is_harmless_again")
class RemovesOnce(SpoolBackend):
    def remove(self, handle: Handle) -> None:
        if not (self.root / self.owner / handle.job_id).exists():
            raise RejectedError("no such job")
        super().remove(handle)


@breaks("test_remove_stops_a_job_that_runs")
class RemovesTheRecordOnly(SpoolBackend):
    def remove(self, handle: Handle) -> None:
        place = self.root / self.owner / handle.job_id
        if place.exists():
            place.rename(self.root / f"hidden-{handle.job_id}")


@breaks("test_remove_touches_no_other_job")
class RemovesThemAll(SpoolBackend):
    def remove(self, handle: Handle) -> None:
        for found in self.list_jobs():
            super().cancel(found.handle, force=True)
        wait_for_ends(self)
        for found in self.list_jobs():
            super().remove(found.handle)


# --- what a program finds ---------------------------------------------------------------------------------------------


class WrongRequest(SpoolBackend):
    """A spool that changes the request."""

    def plan(self, job: JobSpec) -> Plan:
        plan = super().plan(job)
        return attrs.evolve(plan, request={**plan.request, **self.change(plan)})

    def change(self, plan: Plan) -> Mapping[str, Any]:
        raise NotImplementedError


@breaks("test_arguments_arrive_byte_for_byte")
class JoinsWords(WrongRequest):
    def change(self, plan: Plan) -> Mapping[str, Any]:
        return {"argv": ["sh", "-c", " ".join(plan.request["argv"])]}


@breaks("test_a_shell_line_arrives_byte_for_byte")
class EscapesForTheWeb(WrongRequest):
    def change(self, plan: Plan) -> Mapping[str, Any]:
        return {"argv": [html.escape(word) for word in plan.request["argv"]]}


@breaks("test_variables_arrive_byte_for_byte")
class ExpandsDollars(WrongRequest):
    def change(self, plan: Plan) -> Mapping[str, Any]:
        return {"env": {name: os.path.expandvars(value) for name, value in plan.request["env"].items()}}


@breaks("test_our_variables_win")
class TheUsersVariablesWin(WrongRequest):
    def change(self, plan: Plan) -> Mapping[str, Any]:
        return {"env": {**plan.request["env"], **plan.job.env}}


@breaks("test_variables_of_the_daemon_do_not_arrive")
class PassesTheEnvironmentOn(WrongRequest):
    def change(self, plan: Plan) -> Mapping[str, Any]:
        return {"env": {**os.environ, **plan.request["env"]}}


@breaks("test_standard_input_is_empty")
class OpenInput(BrokenKeeper):
    fault = "open_input"


@breaks("test_home_and_tmp_can_be_written")
class NoHome(WrongRequest):
    def change(self, plan: Plan) -> Mapping[str, Any]:
        return {"env": {**plan.request["env"], "HOME": "/proc"}}


@breaks("test_the_input_is_a_file")
class ReadsTheInput(WrongRequest):
    def change(self, plan: Plan) -> Mapping[str, Any]:
        return {"input": json.dumps(json.loads(plan.job.input))}


@breaks("test_what_is_written_to_the_output_file_is_in_the_status")
class LosesTheOutput(WrongStatus):
    def of(self, rank: RankStatus) -> RankStatus:
        return attrs.evolve(rank, output=None)


@breaks("test_a_program_that_fails_may_have_output_too")
class OutputOfSuccessOnly(WrongStatus):
    def of(self, rank: RankStatus) -> RankStatus:
        return rank if rank.exit_code == 0 else attrs.evolve(rank, output=None)


@breaks("test_no_output_is_no_text")
class OutputIsNone(WrongStatus):
    def of(self, rank: RankStatus) -> RankStatus:
        return attrs.evolve(rank, output=str(rank.output))


@breaks("test_output_beyond_the_limit_can_be_told")
class CutsTheOutput(WrongStatus):
    def of(self, rank: RankStatus) -> RankStatus:
        return attrs.evolve(rank, output=rank.output and rank.output[:OUTPUT_LIMIT])


# --- limits -----------------------------------------------------------------------------------------------------------


@breaks("test_the_engine_ends_a_job_that_nobody_asks_for")
class EndsItByItself(SpoolBackend):
    def submit(self, plan: Plan, *, lifetime: timedelta | None) -> Handle:
        handle = super().submit(plan, lifetime=timedelta(seconds=60))
        if lifetime is not None:
            end = threading.Timer(lifetime.total_seconds(), self.cancel, (handle,))
            end.daemon = True
            end.start()
        return handle


@breaks("test_a_lifetime_that_is_not_over_ends_nothing")
class DropsTheDays(SpoolBackend):
    def submit(self, plan: Plan, *, lifetime: timedelta | None) -> Handle:
        return super().submit(plan, lifetime=lifetime and timedelta(seconds=lifetime.seconds))


@breaks("test_the_walltime_gives_time_for_a_checkpoint")
class NoGrace(WrongRequest):
    def change(self, plan: Plan) -> Mapping[str, Any]:
        return {"grace": 0}


@breaks("test_a_program_that_ignores_term_is_killed_after_its_walltime")
class CallsTheWalltimeAnExit(WrongStatus):
    def of(self, rank: RankStatus) -> RankStatus:
        return attrs.evolve(rank, failure=None)
