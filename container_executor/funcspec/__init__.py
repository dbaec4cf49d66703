"""From what a user wrote to what a backend runs.

:func:`parse_text` and :func:`parse` read a function spec in any spelling that users have written, :func:`to_wire` writes it as
the server understands it, :func:`validate` holds it against the limits of a site, and :func:`make_job` turns it into a job.
Nothing here asks an engine, a server, a clock or a disk.
"""

from container_executor.funcspec.job import make_job, substitute
from container_executor.funcspec.model import Conditions, DirSync, Filesystem, FunctionSpec, Gpu, SnapshotMount
from container_executor.funcspec.parse import Parsed, parse
from container_executor.funcspec.text import parse_text
from container_executor.funcspec.validate import Limits, validate
from container_executor.funcspec.wire import to_wire

__all__ = [
    "Conditions",
    "DirSync",
    "Filesystem",
    "FunctionSpec",
    "Gpu",
    "Limits",
    "Parsed",
    "SnapshotMount",
    "make_job",
    "parse",
    "parse_text",
    "substitute",
    "to_wire",
    "validate",
]
