"""What all classes of cases share: the fixtures and knobs that an author overrides."""

import secrets
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

import pytest

from container_executor.backend import Backend
from container_executor.models import Handle, Plan
from container_executor.testing.bench import Bench, wait_for
from container_executor.testing.elsewhere import submit_elsewhere
from container_executor.testing.features import check_lacks, skip_lacking

Fresh = Callable[[], Backend]
Elsewhere = Callable[[Plan, timedelta | None], Handle]


class Cases:
    """Base of all cases. Mix one class of cases, or all, into a test class of your own and give it the fixture ``fresh``.

    Attributes:
        image: An image with a shell and the usual small programs; all jobs run in it.
        missing_image: The name of an image that does not exist, at a registry that answers.
        shellless_image: An image without ``sh``.
        patience: How long the suite waits for anything before it calls it missing.
        quiet: How long a program must have left no trace to count as silent; it would leave one each tenth of a second.
        grace: Time between TERM and KILL in the cases about lifetime and walltime.
        lifetime: Lifetime in the cases about it: long enough for a job to start, longer than *grace*.
        many_lines: Lines of a large output.
        netcat: The shell command of a netcat that takes ``-l -p PORT`` and ``HOST PORT``, such as busybox's.
        file_owner: User id that owns what a job writes into a mounted directory; None for the one who runs the tests.
        on_host: Jobs run on this machine's own file system.
        lacks: What this engine cannot do, each with the reason; see :data:`container_executor.testing.FEATURES`.
    """

    image: ClassVar[str] = "busybox:latest"
    missing_image: ClassVar[str] = "container-executor-no-such-image:latest"
    shellless_image: ClassVar[str] = ""
    patience: ClassVar[timedelta] = timedelta(seconds=60)
    quiet: ClassVar[timedelta] = timedelta(seconds=1.2)
    grace: ClassVar[timedelta] = timedelta(seconds=2)
    lifetime: ClassVar[timedelta] = timedelta(seconds=4)
    many_lines: ClassVar[int] = 20_000
    netcat: ClassVar[str] = "nc"
    file_owner: ClassVar[int | None] = None
    on_host: ClassVar[bool] = False
    lacks: ClassVar[Mapping[str, str]] = {}

    @pytest.fixture(autouse=True)
    def _has_what_the_case_needs(self, request: pytest.FixtureRequest) -> None:
        check_lacks(self.lacks)
        skip_lacking(request.function, self.lacks)

    @pytest.fixture
    def owner(self) -> str:
        """An owner that no other case has."""
        return secrets.token_hex(8)

    @pytest.fixture
    def fresh(self, owner: str) -> Fresh:  # noqa: ARG002  shows what an override asks for
        """Override: a callable that makes a new instance of your backend, owned by *owner*, each time on the same engine."""
        pytest.fail("give your test class a fixture `fresh`: it returns a callable that makes a backend", pytrace=False)

    @pytest.fixture
    def backend(self, fresh: Fresh) -> Iterator[Backend]:
        """The instance under test."""
        backend = fresh()
        yield backend
        backend.close()

    @pytest.fixture
    def stranger(self, fresh: Fresh) -> Iterator[Backend]:
        """An instance on the same engine that belongs to somebody else."""
        stranger = fresh()
        stranger.owner = secrets.token_hex(8)
        yield stranger
        self._sweep(stranger)
        stranger.close()

    @pytest.fixture
    def broken(self) -> Backend:
        """Override: an instance whose engine does not answer."""
        pytest.fail('give your test class a fixture `broken`, or declare lacks["outage"]', pytrace=False)

    @pytest.fixture
    def shared(self, tmp_path: Path) -> Path | None:
        """A directory whose subdirectories the engine can mount; override where that is not so everywhere."""
        return None if "mounts" in self.lacks and not self.on_host else tmp_path

    @pytest.fixture
    def elsewhere(self, backend: Backend) -> Elsewhere:
        """Submit from another program that is killed right after the reply."""
        return lambda plan, lifetime: submit_elsewhere(backend, plan, lifetime)

    @pytest.fixture
    def bench(self, backend: Backend, shared: Path | None) -> Iterator[Bench]:
        """What a case works with; afterwards nothing is left on the engine."""
        yield Bench(backend, self.image, self.patience, self.quiet, shared, self.on_host)
        self._sweep(backend)

    def _sweep(self, backend: Backend) -> None:
        def empty() -> bool:
            found = backend.list_jobs()
            for job in found:
                backend.remove(job.handle)
            return not found

        try:
            # A job whose grace is as long as our patience may take all of it, and then has to be removed.
            wait_for(empty, 2 * self.patience, "the removal of all that this case left behind")
        except NotImplementedError:
            return
