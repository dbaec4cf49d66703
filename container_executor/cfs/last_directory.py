"""The directory of a tree that was used last, kept open."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from container_executor.cfs.tree import Partial, Tree


class LastDirectory:
    """The directory of a tree that was used last: thousands of small files lie in few.

    For one thread at a time. It is closed once nobody has it any more, which may be a thread that an error left behind.
    """

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._below: list[str] | None = None
        self._descriptor = -1

    @contextmanager
    def reading(self, path: str) -> Iterator[int]:
        """Do what :meth:`Tree.reading` does."""
        with self._closed_by_error(), self._tree.reading_in(self._of(path, create=False), path) as descriptor:
            yield descriptor

    @contextmanager
    def partial(self, path: str) -> Iterator[Partial]:
        """Do what :meth:`Tree.partial` does."""
        with self._closed_by_error(), self._tree.partial_in(self._of(path, create=True), path) as partial:
            yield partial

    def _of(self, path: str, *, create: bool) -> int:
        *below, _name = path.split("/")
        if below != self._below:
            self._close()
            self._descriptor, self._below = self._tree.descriptor(below, create=create), below
        return self._descriptor

    @contextmanager
    def _closed_by_error(self) -> Iterator[None]:
        """Keep no directory that may have been removed."""
        try:
            yield
        except BaseException:
            self._close()
            raise

    def _close(self) -> None:
        if self._below is not None:
            self._below = None
            os.close(self._descriptor)

    def __del__(self) -> None:
        self._close()
