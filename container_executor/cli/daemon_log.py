"""The daemon's own log: lines for people on a terminal, JSON for programs, always on the standard error."""

import logging
import sys

import structlog
from structlog.dev import plain_traceback
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import Processor

from container_executor.settings import LogFormat, Settings

_TRACEBACKS = ExceptionDictTransformer(show_locals=False)
"""Without the values of variables: keys and users' secrets are among them."""


def configure(settings: Settings, *, quiet: bool = False) -> None:
    """Set up the log of this program: what is logged, and how.

    Args:
        settings: ``log_format`` and ``verbose``.
        quiet: Only warnings, because a job's output is shown on the same terminal.
    """
    level = logging.DEBUG if settings.verbose else logging.ERROR if quiet else logging.INFO
    first: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*first, *_renderers(settings.log_format)],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
    )
    logging.basicConfig(level=max(level, logging.WARNING), handlers=[_of_libraries(first, settings.log_format)])


def _of_libraries(first: list[Processor], form: LogFormat) -> logging.Handler:
    """Return what writes the lines of backends, libraries and the embedded server in the same form."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*first, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_renderers(form)],
        )
    )
    return handler


def _renderers(form: LogFormat) -> list[Processor]:
    if form is LogFormat.JSON or (form is LogFormat.AUTO and not sys.stderr.isatty()):
        return [structlog.processors.ExceptionRenderer(_TRACEBACKS), structlog.processors.JSONRenderer(default=str)]
    return [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain_traceback)]
