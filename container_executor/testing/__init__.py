"""For authors of backends, and for tests of what stands above them: the conformance suite and the scripted backend."""

import pytest

pytest.register_assert_rewrite("container_executor.testing.bench", "container_executor.testing.cases")

from container_executor.testing.cases.adopt import AdoptCases  # noqa: E402  after the registration
from container_executor.testing.cases.base import Cases, Elsewhere, Fresh  # noqa: E402
from container_executor.testing.cases.cancel import CancelCases  # noqa: E402
from container_executor.testing.cases.environment import EnvironmentCases  # noqa: E402
from container_executor.testing.cases.health import HealthCases  # noqa: E402
from container_executor.testing.cases.images import ImageCases  # noqa: E402
from container_executor.testing.cases.limits import LimitCases  # noqa: E402
from container_executor.testing.cases.logs import LogCases  # noqa: E402
from container_executor.testing.cases.mounts import MountCases  # noqa: E402
from container_executor.testing.cases.plan import PlanCases  # noqa: E402
from container_executor.testing.cases.ranks import RankCases  # noqa: E402
from container_executor.testing.cases.remove import RemoveCases  # noqa: E402
from container_executor.testing.cases.status import StatusCases  # noqa: E402
from container_executor.testing.cases.submit import SubmitCases  # noqa: E402
from container_executor.testing.engines import require_engine, required_engines  # noqa: E402
from container_executor.testing.features import FEATURES, needs  # noqa: E402
from container_executor.testing.outcomes import Outcome, Row, outcome, outcome_table  # noqa: E402
from container_executor.testing.programs import Exit, Program, Rank, Script, Terminated, succeed  # noqa: E402
from container_executor.testing.scripted import ScriptedBackend, ScriptedEngine  # noqa: E402
from container_executor.testing.suite import BackendConformance  # noqa: E402

__all__ = [
    "FEATURES",
    "AdoptCases",
    "BackendConformance",
    "CancelCases",
    "Cases",
    "Elsewhere",
    "EnvironmentCases",
    "Exit",
    "Fresh",
    "HealthCases",
    "ImageCases",
    "LimitCases",
    "LogCases",
    "MountCases",
    "Outcome",
    "PlanCases",
    "Program",
    "Rank",
    "RankCases",
    "RemoveCases",
    "Row",
    "Script",
    "ScriptedBackend",
    "ScriptedEngine",
    "StatusCases",
    "SubmitCases",
    "Terminated",
    "needs",
    "outcome",
    "outcome_table",
    "require_engine",
    "required_engines",
    "succeed",
]
