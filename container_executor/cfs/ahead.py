"""Small contents that are asked for before they are wanted. Blocking; for one thread."""

from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING

from container_executor.cfs.errors import CfsError
from container_executor.cfs.mover import SMALL
from container_executor.cfs.remote import RemoteFile
from container_executor.connections import Asked

if TYPE_CHECKING:
    from container_executor.cfs.store import Store  # obstore is imported where something is stored

AHEAD = 4
"""Contents that are on their way to one thread at once. It writes one while the next ones come, and hardly ever waits: three such
threads take half of the processor time of twelve that ask for one each (docs/decisions/small-requests-are-our-own.md)."""


class Ahead:
    """The contents of several files, wanted in their order; of a store that cannot be asked ahead, each when it is wanted."""

    def __init__(self, store: "Store", files: Iterable[RemoteFile]) -> None:
        """Ask for nothing yet."""
        self._store = store
        self._waiting = deque(file for file in files if store.direct and 0 < file.size <= SMALL)
        self._asked = deque[tuple[RemoteFile, Asked | CfsError]]()

    @property
    def places(self) -> int:
        """How many are on their way at once."""
        return min(AHEAD, max(1, len(self._waiting)))

    def content(self, file: RemoteFile) -> bytes | None:
        """Return the content of a small file; None where the store has more than the record says.

        Raises:
            StoreError: The store refused, does not have it, or does not answer.
        """
        if not file.size:  # it is not asked for: the official client stores no object for it
            return b""
        while self._waiting and len(self._asked) < AHEAD:
            self._ask(self._waiting.popleft())
        if not (self._asked and self._asked[0][0] is file):  # it is wanted once more
            return self._store.content(file.object, file.size)
        _, asked = self._asked.popleft()
        if isinstance(asked, CfsError):
            raise asked
        return self._store.answer(asked, file.size)

    def _ask(self, file: RemoteFile) -> None:
        try:
            self._asked.append((file, self._store.ask(file.object)))
        except CfsError as error:  # it is that file's, whose turn comes later; nothing more is asked ahead
            self._asked.append((file, error))
            self._waiting.clear()

    def close(self) -> None:
        """Forget what was asked for and not wanted."""
        for _, asked in self._asked:
            if isinstance(asked, Asked):
                asked.forget()
        self._asked.clear()
