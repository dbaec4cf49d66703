"""The daemon's own log: lines for people on a terminal, JSON for programs, always on the standard error."""

import contextlib
import logging
import sys
from typing import TextIO

import attrs
import structlog
from structlog.dev import plain_traceback
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import Processor

from container_executor.cli.output import note
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
        logger_factory=structlog.WriteLoggerFactory(_Lossy(sys.stderr)),  # type: ignore[arg-type]  # all that it uses
    )
    logging.basicConfig(level=max(level, logging.WARNING), handlers=[_of_libraries(first, settings.log_format)])


def say(text: str, **fields: object) -> None:
    """Tell whoever sent a signal what it does: a record where the log is JSON, else a line for people."""
    if any(isinstance(each, structlog.processors.JSONRenderer) for each in structlog.get_config()["processors"]):
        structlog.get_logger(__name__).warning(text, **fields)
    else:
        with contextlib.suppress(OSError):
            note(text)


@attrs.frozen
class _Lossy:
    """Writes what can be written: on a full disk, or with nobody reading, the log has gaps and the daemon goes on."""

    stream: TextIO

    def write(self, text: str) -> None:
        with contextlib.suppress(OSError):
            self.stream.write(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            self.stream.flush()


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
