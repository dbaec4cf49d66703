"""The engine itself: how it is, what is free, and what every call says when it is away."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from threading import Event, Thread

import attrs
import pytest

from container_executor.backend import Backend
from container_executor.errors import UnavailableError
from container_executor.models import Capacity, Handle
from container_executor.testing.bench import Bench, wait_for
from container_executor.testing.cases.base import Cases
from container_executor.testing.features import needs

_CALLS: Mapping[str, Callable[[Backend, Handle], object]] = {
    "status": lambda backend, handle: backend.status([handle]),
    "logs": lambda backend, handle: backend.logs(handle),
    "cancel": lambda backend, handle: backend.cancel(handle),
    "remove": lambda backend, handle: backend.remove(handle),
    "list_jobs": lambda backend, _handle: backend.list_jobs(),
}


class HealthCases(Cases):
    def test_an_engine_that_answers_is_reachable(self, bench: Bench) -> None:
        health = bench.backend.probe()

        assert health.reachable, health
        assert all(fault.what and fault.fix for fault in health.faults)

    @needs("outage")
    def test_an_engine_that_is_away_is_named_with_its_fix(self, broken: Backend) -> None:
        health = broken.probe()

        assert not health.reachable
        assert health.faults
        assert all(fault.what and fault.fix for fault in health.faults)

    @needs("outage")
    @pytest.mark.parametrize("call", _CALLS)
    def test_no_answer_is_no_guess(self, bench: Bench, broken: Backend, call: str) -> None:
        job_id = bench.mark().job_id

        with pytest.raises(UnavailableError):
            _CALLS[call](broken, Handle(job_id, job_id))

    @needs("outage")
    def test_a_job_cannot_be_handed_to_an_engine_that_is_away(self, bench: Bench, broken: Backend) -> None:
        plan = bench.on(broken).backend.plan(bench.job("true"))

        with pytest.raises(UnavailableError):
            broken.submit(plan, lifetime=timedelta(seconds=60))

    def test_capacity_is_a_count_of_what_is_free(self, bench: Bench) -> None:
        capacity = bench.backend.capacity() or Capacity()

        assert all(free is None or free >= 0 for free in attrs.astuple(capacity))

    def test_no_more_is_free_than_there_is(self, bench: Bench) -> None:
        free = bench.backend.capacity() or Capacity()
        total = bench.backend.total() or Capacity()

        pairs = zip(attrs.astuple(free), attrs.astuple(total), strict=True)
        assert all(some is None or all_ is None or some <= all_ for some, all_ in pairs)

    def test_watching_ends_when_told_to(self, bench: Bench) -> None:
        stop = Event()
        woken: list[str] = []
        watching = Thread(target=bench.backend.watch, args=(woken.append, stop), daemon=True)
        watching.start()
        handle = bench.start("true")
        bench.ended(handle)

        stop.set()

        wait_for(lambda: not watching.is_alive(), self.patience, "the return of watch after stop was set")
        assert set(woken) <= {handle.job_id}
