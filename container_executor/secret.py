"""A text that must not be seen: keys, passwords, tokens."""

from collections.abc import Iterable
from typing import Final, final

MASK: Final = "***"


@final
class Secret:
    """A secret text. It prints as ``***``; only :meth:`reveal` gives it away, and only where it is needed."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text itself, for the call that needs it."""
        return self._text

    def __repr__(self) -> str:
        return MASK

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a secret is not written anywhere")


def mask(text: str, secrets: Iterable[Secret]) -> str:
    """Return *text* with every one of *secrets* in it replaced by ``***``."""
    for value in sorted((secret.reveal() for secret in secrets if secret), key=len, reverse=True):
        text = text.replace(value, MASK)
    return text
