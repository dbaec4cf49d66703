"""Brings a spec's directories in before its job and out after it.

The file transfer itself is not there yet: a spec without ``fs`` needs none, and one with ``fs`` is refused clearly.
"""

from container_executor.errors import Problem, UnsupportedError
from container_executor.funcspec import FunctionSpec
from container_executor.models import Mount


async def stage_in(spec: FunctionSpec) -> tuple[Mount, ...]:
    """Bring in what *spec* names and return where the job sees it.

    Raises:
        UnsupportedError: The spec has ``fs``.
    """
    if spec.fs is not None:
        raise UnsupportedError(Problem("fs", "this executor does not synchronise directories yet; leave fs out"))
    return ()


async def stage_out(spec: FunctionSpec) -> None:
    """Bring out what the job of *spec* left in its directories; nothing where it has none."""
