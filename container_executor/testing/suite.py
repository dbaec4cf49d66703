"""The whole conformance suite in one class."""

from container_executor.testing.cases.adopt import AdoptCases
from container_executor.testing.cases.cancel import CancelCases
from container_executor.testing.cases.environment import EnvironmentCases
from container_executor.testing.cases.health import HealthCases
from container_executor.testing.cases.images import ImageCases
from container_executor.testing.cases.limits import LimitCases
from container_executor.testing.cases.logs import LogCases
from container_executor.testing.cases.mounts import MountCases
from container_executor.testing.cases.plan import PlanCases
from container_executor.testing.cases.ranks import RankCases
from container_executor.testing.cases.remove import RemoveCases
from container_executor.testing.cases.status import StatusCases
from container_executor.testing.cases.submit import SubmitCases


class BackendConformance(  # pytest runs the cases of the last base first: planning comes first, images last
    ImageCases,
    LimitCases,
    MountCases,
    RankCases,
    EnvironmentCases,
    HealthCases,
    AdoptCases,
    RemoveCases,
    CancelCases,
    LogCases,
    StatusCases,
    SubmitCases,
    PlanCases,
):
    """Every promise of :class:`container_executor.backend.Backend`: a backend passes this or is none.

    Mix it into a test class and give that the fixture ``fresh``; the knobs are attributes of
    :class:`container_executor.testing.cases.base.Cases`::

        class TestMine(BackendConformance):
            lacks = {"gpus": "this engine has none"}

            @pytest.fixture
            def fresh(self, owner: str) -> Callable[[], Backend]:
                return lambda: MineBackend(owner=owner)
    """
