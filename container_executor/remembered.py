"""Answers of a slow one that are used for a while."""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Generic, TypeVar

import attrs

T = TypeVar("T")


@attrs.frozen
class _Answer(Generic[T]):
    at: float
    about: object
    value: T


@attrs.define(eq=False)
class Remembered(Generic[T]):
    """An answer, asked for again when it is too old.

    Attributes:
        age: How long it is used for.
    """

    age: timedelta
    _answer: _Answer[T] | None = attrs.field(default=None, init=False)

    def get(self, ask: Callable[[], T], *, about: object = None) -> T:
        """Return the answer, by asking where none is known that is young enough.

        Args:
            ask: Gets a new one.
            about: What it is about, as it is before asking: of something else, an answer is not used.
        """
        known = self._answer
        if known is None or known.about != about or time.monotonic() - known.at > self.age.total_seconds():
            value = ask()
            self._answer = known = _Answer(time.monotonic(), about, value)
        return known.value
