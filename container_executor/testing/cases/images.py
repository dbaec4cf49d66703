"""Images: the one that was asked for, and the reason where it cannot be had."""

from collections.abc import Sequence

import attrs
import pytest

from container_executor.errors import RejectedError
from container_executor.models import FailureClass, JobState
from container_executor.testing.bench import Bench
from container_executor.testing.cases.base import Cases
from container_executor.testing.features import needs


class ImageCases(Cases):
    @needs("images")
    def test_an_image_that_does_not_exist_is_named_as_the_reason(self, bench: Bench) -> None:
        failure, words = _failure(attrs.evolve(bench, image=self.missing_image), ("true",))

        assert failure is FailureClass.IMAGE_NOT_FOUND, words
        assert words

    @needs("images")
    def test_an_image_without_a_shell_is_an_invalid_spec(self, bench: Bench) -> None:
        if not self.shellless_image:
            pytest.fail('set `shellless_image` to an image without sh, or declare lacks["images"]', pytrace=False)

        failure, words = _failure(attrs.evolve(bench, image=self.shellless_image), ("/bin/true",))

        assert failure is FailureClass.INVALID_SPEC, words
        assert words

    @needs("images")
    def test_the_image_that_ran_is_recorded(self, bench: Bench) -> None:
        status = bench.ended(bench.start("true"))

        assert status.state is JobState.SUCCEEDED
        assert status.ranks[0].image_id


def _failure(bench: Bench, program: Sequence[str]) -> tuple[FailureClass | None, str]:
    """Return the class and the words with which a job that cannot start is refused, at once or later."""
    try:
        handle = bench.start(program)
    except RejectedError as refused:
        return FailureClass(refused.failure) if refused.failure else None, str(refused)
    status = bench.until(handle, lambda status: status.failure or status.failed_rank, "a failure class")
    failed = status.failed_rank
    return (failed and failed.failure) or status.failure, (failed and failed.reason) or status.reason
