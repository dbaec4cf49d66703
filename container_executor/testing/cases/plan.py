"""Planning: pure, readable, and honest about what the engine cannot do."""

import json
from collections.abc import Mapping
from typing import Any

import attrs
import pytest

from container_executor.backend import Backend
from container_executor.errors import UnsupportedError
from container_executor.models import JobSpec, Mount
from container_executor.testing.bench import Bench
from container_executor.testing.cases.base import Cases, Fresh
from container_executor.testing.features import needs

_DEMANDS: Mapping[str, Mapping[str, Any]] = {
    "ranks": {"processes_per_node": 2},
    "mounts": {"mounts": (Mount("/", "/ce-root", read_only=True),)},
    "read_only_mounts": {"mounts": (Mount("/", "/ce-root", read_only=True),)},
    "gpus": {"gpus": 1},
}


class PlanCases(Cases):
    def test_a_plan_is_json_that_a_person_can_read(self, bench: Bench) -> None:
        job = bench.job("echo 'å'", env={"NAME": "värde"}, memory=2**26, cpu=500)

        plan = bench.backend.plan(job)

        assert plan.job == job
        assert json.loads(json.dumps(plan.request, allow_nan=False)) == plan.request, (
            "tuples and numeric keys are no JSON"
        )
        assert "värde" in plan.render(), "the text for people shows the job's variables as they are"

    def test_equal_jobs_have_equal_plans(self, bench: Bench, fresh: Fresh) -> None:
        job = bench.job("true", env={"B": "1", "A": "2", "C": "3"})
        same = attrs.evolve(job, env={"C": "3", "A": "2", "B": "1"})

        plan, again, third = bench.backend.plan(job), bench.backend.plan(same), fresh().plan(same)

        assert plan == again == third
        assert plan.render() == again.render() == third.render()

    def test_different_jobs_have_different_plans(self, bench: Bench) -> None:
        job = bench.job("true")

        plan = bench.backend.plan(job)

        for change in ({"argv": ("false",)}, {"env": {"A": "1"}}, {"mark": bench.mark()}):
            assert bench.backend.plan(attrs.evolve(job, **change)).request != plan.request, change

    @needs("outage")
    def test_planning_asks_nothing_of_the_engine(self, bench: Bench, broken: Backend) -> None:
        job = bench.job("true")

        assert broken.plan(job).job == job

    @pytest.mark.parametrize("feature", _DEMANDS)
    def test_what_cannot_run_is_refused_with_the_path_of_its_field(self, bench: Bench, feature: str) -> None:
        job = bench.job("true", **_DEMANDS[feature])

        refused = _refusal(bench, job)

        if feature in self.lacks:
            assert refused is not None, f"the engine lacks {feature}: plan must raise UnsupportedError, not ignore it"
        if refused is not None:
            assert refused.problems
            assert all(problem.path and problem.message for problem in refused.problems)


def _refusal(bench: Bench, job: JobSpec) -> UnsupportedError | None:
    try:
        bench.backend.plan(job)
    except UnsupportedError as refused:
        return refused
    return None
