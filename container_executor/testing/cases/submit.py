"""Submitting: one job per id, whatever is lost or repeated."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import attrs

from container_executor.backend import Backend
from container_executor.errors import RejectedError
from container_executor.models import JobState, Progress
from container_executor.testing.bench import Bench
from container_executor.testing.cases.base import Cases, Fresh


class SubmitCases(Cases):
    def test_submit_returns_a_handle(self, bench: Bench) -> None:
        job = bench.job("true")

        handle = bench.submit(job)

        assert handle.job_id == job.job_id
        assert handle.native_id
        assert handle.ranks == 1

    def test_a_job_that_was_submitted_twice_runs_once(self, bench: Bench) -> None:
        witness = bench.witness()
        plan = bench.plan(bench.job(f"{witness.trace}; sleep 1", mounts=witness.mounts))

        witness.handle = bench.backend.submit(plan, lifetime=self.patience)
        again = bench.backend.submit(plan, lifetime=self.patience)

        assert again == witness.handle
        assert bench.ended(again).state is JobState.SUCCEEDED
        witness.falls_silent()
        assert witness.count() == 1

    def test_a_job_that_eight_submit_at_once_runs_once(self, bench: Bench, fresh: Fresh) -> None:
        witness = bench.witness()
        plan = bench.plan(bench.job(f"{witness.trace}; sleep 1", mounts=witness.mounts))
        backends = [fresh() for _ in range(8)]

        with ThreadPoolExecutor(8) as threads:
            handles = list(threads.map(lambda backend: backend.submit(plan, lifetime=self.patience), backends))

        witness.handle = handles[0]
        assert set(handles) == {handles[0]}
        assert bench.ended(handles[0]).state is JobState.SUCCEEDED
        witness.falls_silent()
        assert witness.count() == 1

    def test_a_job_that_a_fresh_instance_submits_again_runs_once(self, bench: Bench, fresh: Fresh) -> None:
        witness = bench.witness()
        plan = bench.plan(bench.job(f"{witness.trace}; sleep 1", mounts=witness.mounts))

        witness.handle = bench.backend.submit(plan, lifetime=self.patience)
        again = fresh().submit(plan, lifetime=self.patience)

        assert again == witness.handle
        assert bench.ended(again).state is JobState.SUCCEEDED
        witness.falls_silent()
        assert witness.count() == 1

    def test_a_job_that_has_ended_is_never_started_again(self, bench: Bench, fresh: Fresh) -> None:
        witness = bench.witness()
        plan = bench.plan(bench.job(f"{witness.trace}; exit 3", mounts=witness.mounts))
        witness.handle = bench.backend.submit(plan, lifetime=self.patience)
        before = bench.ended(witness.handle)

        for backend in (bench.backend, fresh()):
            assert backend.submit(plan, lifetime=self.patience) == witness.handle

        witness.falls_silent()
        assert witness.count() == 1
        assert bench.ended(witness.handle) == before

    def test_the_next_launch_is_a_job_of_its_own(self, bench: Bench) -> None:
        first = bench.job("echo first; exit 3")
        second = bench.job("echo second", mark=attrs.evolve(first.mark, launch=2))
        former = bench.submit(first)
        assert bench.ended(former).state is JobState.FAILED

        latter = bench.submit(second)

        assert bench.ended(latter).state is JobState.SUCCEEDED
        assert bench.output(latter) == b"second\n"
        assert bench.ended(former).state is JobState.FAILED

    def test_eight_jobs_at_once_each_have_their_own_end(self, bench: Bench) -> None:
        def run(number: int) -> tuple[int | None, bytes]:
            handle = bench.start(f"echo job {number}; exit {number}")
            return bench.ended(handle).ranks[0].exit_code, bench.output(handle)

        with ThreadPoolExecutor(8) as threads:
            ends = list(threads.map(run, range(8)))

        assert ends == [(number, f"job {number}\n".encode()) for number in range(8)]

    def test_a_job_of_that_name_that_is_not_ours_is_never_adopted(self, bench: Bench, stranger: Backend) -> None:
        theirs = bench.job("sleep 60")
        taken = bench.submit(theirs)
        bench.running(taken)
        stranger.owner = bench.backend.owner[:8] + "feedbeef"
        ours = bench.on(stranger).job("echo ours", mark=attrs.evolve(theirs.mark, owner=stranger.owner))
        assert ours.job_id == theirs.job_id

        try:
            handle = bench.on(stranger).submit(ours)
        except RejectedError:
            pass
        else:
            assert bench.on(stranger).output(handle) == b"ours\n", "neither refused nor run: whose job is this?"
        status = bench.look(taken)
        assert status is not None
        assert status.state is JobState.RUNNING

    def test_preparing_again_gives_the_same_image(self, bench: Bench) -> None:
        reported: list[Progress] = []
        plan = bench.backend.plan(bench.job("true"))

        pinned = bench.backend.prepare(plan, reported.append, Event())

        assert bench.backend.prepare(plan, reported.append, Event()) == pinned
        assert all(progress.text for progress in reported)

    def test_preparing_returns_early_when_told_to_stop(self, bench: Bench) -> None:
        job = bench.job("echo ran")
        stop = Event()
        stop.set()

        bench.backend.prepare(bench.backend.plan(job), lambda _progress: None, stop)

        assert bench.output(bench.submit(job)) == b"ran\n", "what was left half-made must not spoil the next try"
