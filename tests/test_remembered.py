"""An answer is used while it is young, and about what it was asked for."""

from datetime import timedelta
from itertools import count

from container_executor.remembered import Remembered


def test_a_young_answer_is_not_asked_for_again() -> None:
    numbers, remembered = count(), Remembered[int](timedelta(days=1))

    assert [remembered.get(lambda: next(numbers)) for _ in range(3)] == [0, 0, 0]


def test_an_old_answer_is() -> None:
    numbers, remembered = count(), Remembered[int](timedelta(seconds=-1))

    assert [remembered.get(lambda: next(numbers)) for _ in range(3)] == [0, 1, 2]


def test_an_answer_about_something_else_is_not_used() -> None:
    numbers, remembered = count(), Remembered[int](timedelta(days=1))

    assert [remembered.get(lambda: next(numbers), about=about) for about in (1, 1, 2, 2, 1)] == [0, 0, 1, 1, 2]
